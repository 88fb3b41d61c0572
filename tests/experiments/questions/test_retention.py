"""``dpodl retention`` on the smoke config: a device is timed, so numbers are bounds."""

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from dpodl.experiments.cli import main
from dpodl.figures.questions import retention as figure


@pytest.mark.slow
def test_what_kept_checkpoints_cost_and_prove(copy):
    words = ["retention", "smoke", "--deadline", "1e-4", "--deadline", "1e6"]
    for setting in ("security.bootstrap_replicas=400", "security.bootstraps=2"):
        words += ["--set", setting]
    result = CliRunner().invoke(main, [*words, "--output", str(copy.root)])
    assert result.exit_code == 0, result.output
    assert "proves nothing here" in result.output
    assert "may prove" in result.output
    (folder,) = copy.root.glob("retention-*")
    assert (folder / "figures" / "retention.pdf").is_file()
    storage = pd.read_csv(folder / "storage.csv")
    plain = storage[storage.policy == "all"].set_index("architecture")
    # A softmax of 784 pixels: 7,850 numbers, and one or two buffers as large of two
    # optimizers of three.
    softmax = plain.loc["softmax"].bytes_a_block / plain.loc["softmax"].kept
    assert softmax == pytest.approx(2 * 7850 * 4)
    assert ((storage.compressed_share > 0.3) & (storage.compressed_share < 1.1)).all()
    for _, some in storage.groupby("architecture"):
        assert some.bytes_a_block.idxmax() == some.index[0]
    answers = pd.read_csv(folder / "answers.csv")
    leaf = answers[answers.kind == "leaf"]
    assert list(leaf.worst_steps) == [12.0 * (j - 1) for j in leaf.spacing]
    assert (answers.mean_seconds <= answers.worst_seconds).all()
    deadlines = pd.read_csv(folder / "deadlines.csv")
    assert list(deadlines.proves) == [True, False]
    costs = pd.read_csv(folder / "costs.csv")
    assert costs.cheapest.sum() >= 1
    assert costs.loc[costs.cheapest, "total"].iloc[0] == costs.total.min()


def tables() -> dict[str, pd.DataFrame]:
    return {
        "answers": pd.DataFrame(
            {
                "kind": ["leaf", "leaf", "rerun"],
                "kept": [0.5, 1.0, 1.0],
                "worst_seconds": [2.0, 0.0, 1.0],
                "mean_seconds": [1.0, 0.0, 1.0],
            }
        ),
        "deadlines": pd.DataFrame({"deadline_seconds": [60.0, 10.0]}),
    }


def test_a_figure_of_answers_has_the_least_deadline():
    df = figure.data(tables())
    assert set(df.deadline) == {10.0}
    (axes,) = figure.draw(df).axes
    heights = [np.asarray(line.get_ydata()) for line in axes.lines]
    assert any(list(each) == [10.0, 10.0] for each in heights)
    with pytest.raises(ValueError, match="answers"):
        figure.data({"deadlines": tables()["deadlines"]})
