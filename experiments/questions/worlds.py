"""Which worlds a question knows: any other is refused by the name of its setting."""

from collections.abc import Container

from ...analysis.estimation.estimate import Refused
from ..config.experiment import Config
from ..config.section import ConfigError
from ..world.translation import conduct_of

PRIVATE = ("private",)
"""Attacks of a question that is about a private chain from the tip."""
RACES = (
    *("private", "private_premined", "cross_slot_new", "cross_slot_old"),
    *("withheld_mtx", "reference_relay", "surplus_reference"),
    *("grind_prehash", "grind_posthash", "forged_checkpoints"),
)
"""Attacks whose private chain is raced, each by its own law."""
RACED = ("protocol.reference", "network.delay_model", "security.criterion")
"""Settings of which a race knows all: its Δ is the longest delay, which bounds it."""
_RULES: dict[str, tuple[object, ...]] = {
    "protocol.chain_rule": ("longest",),
    "protocol.tie_rule": ("first_seen",),
    "protocol.reference": ("fresh",),
    "network.delay_model": ("worst_case", "fixed"),
    "security.criterion": ("equal",),
}


def require_curves(config: Config, command: str) -> None:
    """Refuse a law that is of no learning curves: it has no T_acc and no p_2.

    Args:
        config: The experiment.
        command: Who refuses.

    Raises:
        ConfigError: If [law] has times or a formula.
    """
    if not config.law.has_curves:
        raise ConfigError(
            f"{command} works with learning curves, which law.source = "
            f"{config.law.source} has not; law.source = train or curves has them, and "
            "dpodl run, sweep, attack, risk and threshold work without"
        )


def require_equal_provers(
    config: Config,
    command: str,
    *,
    attacks: Container[str] | None = PRIVATE,
    known: Container[str] = (),
    s_min: bool = True,
) -> None:
    """Refuse a world beyond equal provers of fresh models on the longest chain.

    Args:
        config: The experiment.
        command: Who refuses.
        attacks: Values of ``adversary.attack`` that it knows; None: it does not ask.
        known: Settings of which it knows every value.
        s_min: Whether it knows ``protocol.s_min``.

    Raises:
        Refused: Naming every setting that is beyond it, and what it can be.
    """
    problems = []
    for field, values in _RULES.items():
        section, name = field.split(".")
        given = getattr(getattr(config, section), name)
        # Who keeps what has been trained goes on with the first seen.
        if field == "protocol.tie_rule":
            given = config.protocol.adopted
        if field not in known and given not in values:
            problems.append(f"{field} = {given} (known: {', '.join(map(str, values))})")
    if config.protocol.retarget is not None and "protocol.retarget" not in known:
        problems.append("protocol.retarget (known: not set)")
    if not config.network.equal_speeds:
        problems.append("network.classes of unequal speeds (known: speed 1)")
    attack = config.adversary.attack
    if attacks is not None and attack not in attacks:
        words = [each for each in RACES if each in attacks]
        problems.append(f"adversary.attack = {attack} (known: {', '.join(words)})")
    if config.adversary.part and config.attackers:
        problems.append(f"adversary.part = {config.adversary.part} (known: none)")
    if not s_min and config.protocol.s_min:
        problems.append(f"protocol.s_min = {config.protocol.s_min} (known: 0)")
    if problems:
        raise Refused(
            f"{command} does not know {'; '.join(problems)}. dpodl run computes what "
            "it can of such a world"
        )


def criterion_words(config: Config) -> str:
    """When a private chain has replaced the public one, in words."""
    if config.security.criterion == "equal":
        return "ties win (equal length suffices)"
    return "ties lose (a longer chain is needed)"


def whose_laws(config: Config) -> str:
    """Whose law is not that of fresh models, in words to follow "equal provers"."""
    rules, said = config.protocol, ""
    if rules.reference != "fresh":
        said += f", who start from models (protocol.reference = {rules.reference})"
    if config.network.corrupted and conduct_of(config).changes_law():
        said += (
            f"; corrupted ones have the law of {config.adversary.attack}, as it is for "
            f"the {config.network.corrupted} of the config"
        )
    return said
