"""What quantities are called on the page, and which of them share a chart."""

from typing import NamedTuple

# name → (label, axis scale); quantities that are not named here show as they are.
QUANTITIES = {
    "block_interval_mean": ("block interval, mean", "log"),
    "block_interval_cv": ("block interval, CV (memoryless, no delay: 1)", "linear"),
    "chain_growth": ("chain growth", "log"),
    "stale_rate": ("stale blocks", "linear"),
    "chain_quality": ("chain quality under withholding", "linear"),
    "persistence_violation": ("Pr[violation at depth k], ties win", "log"),
    "persistence_violation_strict": ("Pr[violation at depth k], strict", "log"),
    "persistence_simulated": ("Pr[violation at depth k], ties win, simulated", "log"),
    "persistence_simulated_strict": (
        "Pr[violation at depth k], strict, simulated",
        "log",
    ),
    "unsafe_depth": ("last depth that is not safe for a risk", "linear"),
    "private_growth": ("private chain's growth over the public one's", "log"),
    "safe_depth": ("confirmations for a risk", "linear"),
    "safe_depth_premined": ("confirmations for a risk, with a head start", "linear"),
    "safe_depth_strict": ("confirmations for a risk, strict", "linear"),
    "safe_depth_premined_strict": (
        "confirmations for a risk, strict, with a head start",
        "linear",
    ),
    "private_chain_depth": (
        "confirmations, head start: private chain (an attack)",
        "linear",
    ),
    "best_attack_depth": (
        "confirmations, head start: best attack found",
        "linear",
    ),
    "any_adversary_depth": (
        "confirmations, head start: any adversary (bound, conditional)",
        "linear",
    ),
    "liveness_quantile": ("wait for confirmation, quantile", "log"),
    "good_period": ("Pr[window is good]", "logit"),
    "good_period_all": ("Pr[all windows in the horizon are good]", "logit"),
    "dispersion": ("variance per mean of a window's blocks", "linear"),
    "window_distance": ("distance from independent rounds", "linear"),
    "success_after": ("chance of a success, so long after the last", "linear"),
    "growth_shortfall": ("Pr[the chain grows too little]", "log"),
    "quality_gap": ("Pr[no honest block]", "log"),
    "decay_slope": ("slope, one window", "linear"),
    "decay_slope_all": ("slope, all windows of at least that length", "linear"),
    "decay_slope_iid": ("slope, one window, independent rounds", "linear"),
    "decay_slope_iid_all": ("slope, all windows, independent rounds", "linear"),
    "decay_slope_ratio": ("ratio of the slopes, one window", "linear"),
    "decay_slope_ratio_all": ("ratio of the slopes, all windows", "linear"),
    "f_1": ("f₁", "linear"),
    "p_lower": ("½ f₁ f₂", "linear"),
    "past_difficulty": ("Pr[acc_pre ≥ D_acc]", "linear"),
    "early_success": ("Pr[acc_after ≥ T_acc given acc_pre < D_acc]", "linear"),
    "round_success": ("rounds with a success", "linear"),
    "round_single_success": ("rounds with exactly one success", "linear"),
    "round_adversarial": ("adversarial successes", "linear"),
}


# Charts of a run that stand before those of its laws and curves.
MAIN = ("Persistence", "Confirmations", "Wait for confirmation", "Good periods")


class Shared(NamedTuple):
    """A chart of quantities that are over one thing and in one unit.

    Attributes:
        title: Its heading.
        x: Label of the horizontal axis.
        y: Label of the vertical axis.
        scale: Scale of the vertical axis.
    """

    title: str
    x: str
    y: str
    scale: str


_WINDOW = "Window length kp (expected honest blocks)"
_DECAY = "slope of −ln Pr[bad] over ε² kp"
# (at_unit, unit) → its chart, in the order of the page.
_SHARED = {
    ("blocks", "probability"): Shared(
        "Persistence", "Depth k (blocks)", "probability", "log"
    ),
    ("target", "blocks"): Shared("Confirmations", "Risk", "blocks", "linear"),
    ("probability", "steps"): Shared(
        "Wait for confirmation", "Probability", "steps", "log"
    ),
    ("expected blocks", "probability"): Shared(
        "Good periods", _WINDOW, "probability", "logit"
    ),
    ("expected blocks", "variance per mean"): Shared(
        "Dispersion of a window's blocks", _WINDOW, "variance per mean", "linear"
    ),
    ("expected blocks", "total variation"): Shared(
        "Distance of a window's blocks from those of independent rounds",
        _WINDOW,
        "total variation",
        "linear",
    ),
    ("expected blocks", ""): Shared("Decay of bad windows", _WINDOW, _DECAY, "linear"),
    ("expected blocks", "ratio"): Shared(
        "Decay of bad windows against independent rounds", _WINDOW, "ratio", "linear"
    ),
    ("steps", "probability"): Shared(
        "Slow stretches", "Length (steps)", "probability", "log"
    ),
    ("mean intervals", "ratio to p"): Shared(
        "Success after a success",
        "Time since the last success (mean intervals)",
        "ratio to p",
        "linear",
    ),
    ("d_acc", "probability"): Shared(
        "Bounds of the training oracle", "D_acc", "probability", "linear"
    ),
}


def unit_of(quantity: str, unit: str) -> str:
    """The unit of a quantity's axis: a ratio is none of what it is a ratio of."""
    return unit or ("ratio" if "_ratio" in quantity else "")


def label_of(quantity: str) -> tuple[str, str]:
    """A quantity's label and the scale it is shown on; auto where none is known."""
    return QUANTITIES.get(quantity, (quantity.replace("_", " "), "auto"))


def order_of(quantity: str) -> tuple[int, str]:
    """Where a quantity stands in a legend."""
    known = list(QUANTITIES)
    return (known.index(quantity) if quantity in known else len(known), quantity)


def shared_chart(at_unit: str, unit: str) -> Shared:
    """The chart of quantities in ``unit`` over ``at_unit``."""
    plain = Shared(f"Over {at_unit}", at_unit, unit or "value", "linear")
    return _SHARED.get((at_unit, unit), plain)


def chart_order(units: tuple[str, str]) -> tuple[int, str]:
    """Where the chart of (at_unit, unit) stands on the page."""
    known = list(_SHARED)
    return (known.index(units) if units in known else len(known), " ".join(units))
