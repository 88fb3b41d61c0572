"""Selfish mining of a memoryless pool: Eyal and Sirer's revenue and threshold."""

from .arguments import Real, require


def selfish_revenue(alpha: Real, gamma: Real) -> float:
    r"""Share of the chain's blocks that an SM1 selfish pool obtains.

        R = [α(1−α)²(4α + γ(1−2α)) − α³] / [1 − α(1 + (2−α)α)]

    Assumes exponential intervals and no delay; SM1 is the first strategy, not the
    optimal one.

    Args:
        alpha: the pool's share, in [0, ½]. Above ½ the chain of leads is transient: the
            pool never publishes, so a long-run revenue does not exist.
        gamma: share of honest provers that extend the pool's block in a tie, [0, 1].

    Returns:
        Relative revenue in [0, 1]; honest play gives α.

    Raises:
        ValueError: an argument outside its range.

    Reference: [ES14] Eq. (8).
    """
    require("alpha", alpha, 0 <= alpha <= 0.5, "[0, 0.5]")
    require("gamma", gamma, 0 <= gamma <= 1, "[0, 1]")
    won = alpha * (1 - alpha) ** 2 * (4 * alpha + gamma * (1 - 2 * alpha)) - alpha**3
    return float(won / (1 - alpha * (1 + (2 - alpha) * alpha)))


def selfish_threshold(gamma: Real) -> float:
    r"""Share above which SM1 earns more than honest play.

        (1 − γ) / (3 − 2γ)

    Args:
        gamma: share of honest provers that extend the pool's block in a tie, [0, 1].

    Returns:
        The share α at which R = α.

    Raises:
        ValueError: gamma outside [0, 1].

    Reference: [ES14] Observation 1. Same assumptions as `selfish_revenue`.
    """
    require("gamma", gamma, 0 <= gamma <= 1, "[0, 1]")
    return float((1 - gamma) / (3 - 2 * gamma))
