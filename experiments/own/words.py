"""What a law rests on, in the words of those who read of it."""

from ..config.experiment import Config

_MANY = {
    "train": "trained models",
    "curves": "logged runs",
    "times": "measured block times",
    "formula": "no measurement",
}
_SHORT = {"train": "models", "curves": "runs", "times": "block times"}


def evidence(config: Config) -> str:
    """What resampled laws are resampled from: many of them, in words."""
    return _MANY[config.law.source]


def more_evidence(config: Config) -> str:
    """The same in one word, where more of it would help; "" for a formula."""
    return _SHORT.get(config.law.source, "")


def attempts(config: Config) -> str:
    """What must be independent of each other for a law to be carried on."""
    return "trainings" if config.law.has_curves else "block times"


def interval_words(config: Config) -> str:
    """Where intervals of numbers that the law fixes come from, to follow them."""
    if config.law.trained:
        return "intervals 95 %, of the training runs"
    if config.law.source == "formula":
        return "the law is a formula: no error of a measurement is in an interval"
    return f"intervals 95 %, of the {evidence(config)}"


def law_label(config: Config) -> str | None:
    """The name of a law that no lottery is a part of; None: [scheme] names it."""
    law = config.law
    if law.source == "times":
        return f"measured: {law.path}"
    if law.source == "formula":
        given = law.formula
        ahead = f", dead time {given.dead_time:g}" if given.dead_time else ""
        return given.family if given.part else f"{given.family}{ahead}"
    return None


def rests_on(config: Config, runs: int, reached: int) -> str:
    """What a law of times or of a formula rests on, as a sentence."""
    if config.law.source == "formula":
        return (
            "the law is a formula and known exactly: intervals hold the error of "
            "simulation alone, and no doubt whether the formula is right"
        )
    return (
        f"the law is that of {runs} measured block times, of which {reached} ended: "
        "the time of a whole attempt, with no lottery before or after it"
    )
