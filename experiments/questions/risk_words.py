"""What the tables of ``dpodl risk`` rest on, in words."""

from ..config.experiment import Config
from ..own.words import attempts, evidence
from .worlds import criterion_words, whose_laws


def assumptions(
    config: Config, horizon: int, premined: bool, resamples: int
) -> list[str]:
    """What the tables rest on, a sentence each."""
    net = config.network
    start = (
        "it starts with the lead that it has in the long run (head start)"
        if premined
        else "it starts from the block's parent, without a head start"
    )
    return [
        f"{net.provers} equal provers{whose_laws(config)}, Δ = {net.delay_steps:g} "
        "steps; a share β that "
        "is not whole provers is the law S^{βn}",
        f"private race, {criterion_words(config)}: the adversary mines alone, "
        f"{start}; every honest message is Δ late. That bounds the risk of this attack "
        "from above, not that of others (dpodl attack)",
        "risks that no simulation sees are carried on from the law: they hold if "
        f"{attempts(config)} are independent of each other, which no interval doubts",
        _intervals(config, resamples),
        "memoryless and Nakamoto: exponential block times, the same β and no delay; "
        "Nakamoto's is his Poisson approximation, without a head start and too small",
        f"any block: at least one of {horizon:,} levels is reverted. "
        "Restarts: a fork that is behind is given up for a new one, exact; the bound "
        f"is {horizon:,} times one block's risk with a head start and holds "
        "for the best restarts",
        "age: steps since all honest provers saw the block; a step is "
        f"{config.clock.seconds_per_step:.3g} s",
    ]


def _intervals(config: Config, resamples: int) -> str:
    if config.law.source == "formula":
        return "intervals: of simulated figures alone, the law is a formula"
    many = f"{config.training.runs} " if config.law.trained else ""
    return (
        f"intervals: 95 %, over {resamples} resamples of the {many}{evidence(config)}"
    )
