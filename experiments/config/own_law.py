"""[law]: where the block-time law comes from, if not from models trained here."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from .section import PART, Count, Positive, Real, Section

FAMILIES = ("exponential", "gamma", "erlang", "weibull", "log-normal")
"""Those of analysis.block_time.formulas, which would import scipy.stats."""

ROLES = ("run", "step", "accuracy", "loss", "cost", "time", "censored")
"""What a column of a file can be named as."""


class FormulaConfig(Section):
    """A law that is written down."""

    family: Annotated[
        str,
        Field(pattern=rf"{PART}|^({'|'.join(FAMILIES)})$"),
    ] = Field(
        default="exponential",
        description="exponential, gamma, erlang, weibull, log-normal, or "
        "'module:name' of a survival function of yours",
    )
    mean: Positive = Field(
        default=1000.0, description="mean block time of a prover, dead time included"
    )
    dead_time: Annotated[Real, Field(ge=0)] = Field(
        default=0.0, description="steps before anything can be found"
    )
    cv: Positive = Field(
        default=0.5, description="of gamma and log-normal, beyond the dead time"
    )
    stages: Count = Field(default=4, description="of erlang")
    shape: Positive = Field(default=2.0, description="of weibull")

    @model_validator(mode="after")
    def _later(self) -> Self:
        if self.mean <= self.dead_time:
            raise ValueError(
                f"mean must be above dead_time = {self.dead_time:g}, got {self.mean:g}"
            )
        if self.family == "log-normal" and self.cv > 3:
            raise ValueError(f"cv of log-normal must be at most 3, got {self.cv:g}")
        return self

    @property
    def part(self) -> str | None:
        """``module:name`` of a law of the user's; None: a family's."""
        return self.family if ":" in self.family else None


class LawConfig(Section):
    """Where the law of a block comes from."""

    source: Literal["train", "curves", "times", "formula"] = Field(
        default="train",
        description="models trained here; a file of learning curves; a file of "
        "measured block times; a formula",
    )
    path: Path | None = Field(
        default=None,
        description="CSV, Parquet or JSON lines of curves or times, a folder of "
        "TensorBoard's, MLflow's or JSON-lines logs, or the name of a shipped example",
    )
    columns: dict[str, str] = Field(
        default={},
        description="role → column, where its name is not recognised: run, step, "
        "accuracy, loss, cost; time, censored",
    )
    short_runs: Literal["refuse", "hold", "leave_out"] = Field(
        default="refuse",
        description="a curve that ends below t_acc before the horizon: refuse; its "
        "last accuracy stands; the run is left out",
    )
    formula: FormulaConfig = Field(
        default=FormulaConfig(), description="the law of source = formula"
    )

    @model_validator(mode="after")
    def _usable(self) -> Self:
        problems = []
        if self.source in ("curves", "times") and self.path is None:
            problems.append(f"path must be given where source = {self.source}")
        unknown = [role for role in self.columns if role not in ROLES]
        if unknown:
            problems.append(
                f"columns names roles, {', '.join(ROLES)}, got {', '.join(unknown)}"
            )
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def trained(self) -> bool:
        """Whether models are trained here."""
        return self.source == "train"

    @property
    def has_curves(self) -> bool:
        """Whether there are learning curves, trained here or not."""
        return self.source in ("train", "curves")
