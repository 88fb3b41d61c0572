"""Whether two runs were measured on the same trained models."""

import io

import numpy as np
import pandas as pd

from ...analysis.estimation.estimate import Estimate
from ...analysis.estimation.training_error import Basis, Drawn
from ..config.experiment import Config
from ..store.run_folder import RunFolder

RESAMPLES = "resamples.csv"


def not_paired(
    first: RunFolder, second: RunFolder, configs: tuple[Config, Config]
) -> str:
    """Why the b-th resamples of two runs are not of the same models; "": they are.

    Longer trainings of the same models are the same models.

    Raises:
        Changed: If a file of either is not what was written.
    """
    if not all(config.law.has_curves for config in configs):
        return "a law of times or a formula has no trained models"
    if configs[0].seed != configs[1].seed:
        return "the seeds differ, and with them the trained models"
    for folder in (first, second):
        if not (folder.path / RESAMPLES).is_file():
            return (
                f"{folder.path} is of an earlier version and keeps no resamples; the "
                "same `dpodl run` as before adds them"
            )
    mine, other = (_curves(folder) for folder in (first, second))
    if mine["correct"].shape[0] != other["correct"].shape[0]:
        return (
            f"{mine['correct'].shape[0]} and {other['correct'].shape[0]} models were "
            "trained: resamples of one are not those of the other"
        )
    looks = min(len(mine["steps"]), len(other["steps"]))
    same = all(
        np.array_equal(mine[name][..., :looks], other[name][..., :looks])
        for name in ("steps", "correct")
    )
    scored = all(mine[name] == other[name] for name in ("eval_samples", "population"))
    return "" if same and scored else "the learning curves differ"


def drawn_figures(folder: RunFolder) -> dict[tuple[str, float | None], tuple]:
    """Figure → what its interval was made from, and what it rests on.

    Raises:
        Changed: If the table is not what was written.
    """
    table = folder.table(RESAMPLES)
    names = [name for name in table.columns if name.startswith("resample_")]
    found = {}
    for row, drawn in zip(
        table.to_dict("records"), table.reindex(columns=names).to_numpy(), strict=True
    ):
        own = Estimate(
            float(row["own"]),
            float(row["own_low"]),
            float(row["own_high"]),
            int(row["count"]),
            "",
        )
        ends = float(row["slowest"]), float(row["fastest"])
        centre = float(row["centre"])
        at = None if pd.isna(row["at"]) else float(row["at"])
        kept = Drawn(
            own,
            tuple(float(each) for each in drawn),
            ends if np.isfinite(ends).all() else (),
            None if np.isnan(centre) else centre,
        )
        basis = Basis(np.nan, float(row["freedom"]))
        found.setdefault((str(row["quantity"]), at), (kept, basis))
    return found


def _curves(folder: RunFolder) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(folder.read("curves.npz")), allow_pickle=False) as file:
        return {
            name: file[name]
            for name in ("steps", "correct", "eval_samples", "population")
        }
