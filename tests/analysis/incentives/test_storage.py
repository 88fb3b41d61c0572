"""What kept checkpoints cost and prove: formulas against every leaf, and published."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from dpodl.analysis.incentives import storage
from dpodl.models.chain.retention import ANSWER, Answer, Retention, kept_leaves
from dpodl.models.scheme.encoding import encode
from dpodl.models.scheme.records import Checkpoint

TABLE = Path(__file__).parents[2] / "reference" / "space.csv"


def row(case: str) -> dict[str, str]:
    with TABLE.open(encoding="utf-8") as file:
        (found,) = [each for each in csv.DictReader(file) if each["case"] == case]
    return found


@pytest.mark.parametrize("kind", ["leaf", "rerun", "successor"])
@pytest.mark.parametrize("spacing", [1, 2, 3, 7])
def test_answer_steps_are_those_of_every_leaf(kind, spacing):
    """One cycle between two kept leaves in the middle of a long training."""
    every, policy = 25, Retention("every", spacing=spacing)
    cycle = range(5 * spacing - 1, 6 * spacing - 1)
    steps = [storage.steps_of_leaf(policy, 400, i, kind, every) for i in cycle]
    formula = storage.answer_steps(kind, spacing, every)
    assert max(steps) == formula.worst
    assert np.mean(steps) == pytest.approx(formula.mean)


def test_leaves_of_a_whole_block_by_hand():
    policy = Retention("every", spacing=3)
    # Of seven leaves 2, 5 and 6 are kept.
    assert kept_leaves(policy, 7) == (2, 5, 6)
    leaf, rerun, successor = (
        [storage.steps_of_leaf(policy, 7, i, kind, 10) for i in range(7)]
        for kind in ("leaf", "rerun", "successor")
    )
    assert leaf == [10, 20, 0, 10, 20, 0, 0]
    assert rerun == [20, 30, 10, 20, 30, 10, 0]
    assert successor == [20, 20, 10, 20, 20, 0, 0]
    found = storage.answered_in_time(policy, 7, "leaf", 10, allowed=10)
    assert found == pytest.approx(5 / 7)


def test_challenges_are_passed_by_luck_as_often_as_drawn():
    generator = np.random.default_rng(1)
    passed = (generator.random((200_000, 6)) < 0.7).all(axis=1).mean()
    assert storage.passes_unseen(0.7, 6) == pytest.approx(passed, abs=0.003)
    assert storage.challenges_for(0.7, 0.7**6) == 6
    assert storage.challenges_for(0.7, 0.7**6 - 1e-9) == 7
    assert storage.challenges_for(0, 0.5) == 1
    with pytest.raises(ValueError, match="share must be in"):
        storage.challenges_for(1.0, 0.5)
    with pytest.raises(ValueError, match="share must be in"):
        storage.passes_unseen(1.5, 2)


def test_a_deadline_proves_nothing_of_what_is_trained_sooner():
    # Half a second of training against any network's deadline.
    seconds = 2.5e-4
    assert storage.proving_steps(10, step_seconds=seconds) == 40_001
    assert storage.proving_steps(10, step_seconds=seconds, leverage=8) == 320_001
    spacing = storage.tolerated_spacing(1.0, 100, step_seconds=seconds)
    within = 1.0 / seconds
    assert storage.answer_steps("leaf", spacing, 100).worst <= within
    assert storage.answer_steps("leaf", spacing + 1, 100).worst > within
    with pytest.raises(ValueError, match="leverage ≥ 1"):
        storage.proving_steps(10, step_seconds=seconds, leverage=0.5)


def test_storage_over_time_counts_every_kept_leaf():
    for policy in (
        Retention(),
        Retention("every", spacing=4, prune=5),
        Retention("online", kept=3, prune=2),
    ):
        for blocks in (0, 1, 4, 30):
            counted = sum(
                len(kept_leaves(policy, 11, age=age)) for age in range(blocks)
            )
            found = storage.stored_bytes(policy, leaves=11, state=8.0, blocks=blocks)
            assert found == 8 * counted


def test_the_cheapest_spacing_is_the_least_of_all():
    setting: dict = {"every": 20, "state": 4e5, "window": 60, "asked": 2.0}
    setting |= {"byte_price": 1e-12, "step_price": 1e-6}
    best = storage.cheapest(40, **setting)
    totals = [storage.upkeep(j, leaves=40, **setting).total for j in range(1, 41)]
    assert best.total == min(totals)
    assert 1 < best.spacing < 40
    free = storage.cheapest(40, **(setting | {"byte_price": 0.0}))
    assert free.spacing == 1
    dear = storage.cheapest(40, **(setting | {"step_price": 0.0}))
    assert len(kept_leaves(Retention("every", spacing=dear.spacing), 40)) == 1


@pytest.mark.parametrize("leaves", [1, 2, 5, 64, 65])
def test_bytes_of_an_answer_are_those_that_are_written(leaves):
    from dpodl.models.scheme.merkle import inclusion_path

    path = max((inclusion_path([b"x"] * leaves, i) for i in range(leaves)), key=len)
    name = bytes(32)
    said = Answer(name, 0, name, 0, Checkpoint(name, 1, 1), path, "leaf", name)
    assert storage.challenge_bytes(leaves) == len(encode(ANSWER, said))
    assert storage.challenge_bytes(leaves, 3) == 3 * len(encode(ANSWER, said))


def test_walking_backwards_with_few_checkpoints():
    """C(s + r, s) by its recursion: the last step first, then the part before."""

    def longest(s: int, r: int) -> int:
        if s == 0 or r == 0:
            return 1
        return longest(s, r - 1) + longest(s - 1, r)

    for s in range(6):
        for r in range(6):
            assert storage.reversal_length(s, r) == longest(s, r)


# ------------------------------------------------------------------ published


def test_chias_plots():
    given = row("chia_plot_bytes")
    assert str(storage.chia_plot_bytes(32)) in given["value"] + given["parameters"]
    grinding = row("chia_plot_grinding")
    seconds = float(re.findall(r"phase 1 in ([\d.]+) s", grinding["parameters"])[0])
    filtered = int(re.findall(r"filter (\d+)", grinding["parameters"])[0])
    gib = float(re.findall(r"\(([\d.]+) GiB", grinding["parameters"])[0])
    plots, size = re.findall(r"[\d.]+", grinding["value"])
    found = storage.imitated_plots(seconds, filtered=filtered)
    assert found == int(plots)
    assert storage.tebibytes(found, gib) == pytest.approx(float(size), abs=0.1)


def test_filecoins_deadlines_fill_a_day():
    deadlines, minutes = map(int, re.findall(r"\d+", row("filecoin_post")["value"])[:2])
    assert deadlines * minutes == 24 * 60
    # A deadline that a training of a second's steps never meets.
    assert storage.proving_steps(60 * minutes, step_seconds=1e-3) > 10**6
