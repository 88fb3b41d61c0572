"""What ``dpodl effects`` refuses before any training: each sentence reached."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from dpodl.analysis.block_time.law import exponential, geometric
from dpodl.analysis.effects.memorylessness import Evidence
from dpodl.analysis.estimation.estimate import Refused
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.questions import effects


def evidence(law, p_2: float = 1.0) -> Evidence:
    return Evidence(p_2, law, (), ())


def low() -> SimpleNamespace:
    """Curves that stay at 10 %."""
    return SimpleNamespace(initializations=(None,) * 12, accuracy=np.full((12, 5), 0.1))


def quiet(*_) -> None:
    """No progress."""


def test_no_law_at_all_says_why(monkeypatch, tmp_path):
    why = {0.5: "t_acc = 0.99: 0 of 12 runs reached it"}
    monkeypatch.setattr(effects.runner, "train", lambda *_: low())
    monkeypatch.setattr(effects, "swept_laws", lambda *_, **__: ([], why))
    with pytest.raises(Refused, match=r"effects: no p_2 has a law; t_acc = 0\.99"):
        effects.effects(
            load_config("smoke", []), tmp_path, quiet, branches=4, resamples=2
        )


def test_winners_of_whole_looks_tie():
    said = "domination: with p_1 = 1 all block times are whole looks and winners tie"
    with pytest.raises(Refused, match=said):
        effects._domination([evidence(geometric(0.1))])
    # Below 2^256 the pre-hash takes a time of its own: no lattice, no ties.
    assert effects._domination([evidence(exponential(0.1))])


def test_a_dead_time_needs_the_law_of_the_training_alone():
    with pytest.raises(Refused, match="the runs support no law at p_2 = 1"):
        effects._certain([evidence(exponential(0.1), 0.5)])
    alone = evidence(exponential(0.1))
    assert effects._certain([alone]) is alone


def test_saving_needs_somebody_and_a_model():
    alone = [evidence(exponential(0.1))]
    nobody = load_config("smoke", ["network.beta=0"])
    with pytest.raises(Refused, match="saving: no prover is corrupted"):
        effects._saving(nobody, cast(Any, low()), alone, 4, 2, quiet)
    some = load_config("smoke", ["network.beta=0.5"])
    with pytest.raises(Refused, match="saving: none of the 4 runs asked for showed"):
        effects._saving(some, cast(Any, low()), alone, 4, 2, quiet)
