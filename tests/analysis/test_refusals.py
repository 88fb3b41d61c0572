"""Every refusal of the library is reached, says what is so, and helps.

A case here reaches a sentence and, where that is cheap, follows the way out that it
names. The others are reached in their modules' own tests; the last test goes through
the sources and finds the sentence of each ``Refused(...)`` in some test.
"""

import ast
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pytest
from dpodl.analysis.agreement import named_race
from dpodl.analysis.attacks import optimal_selfish, strategy_rows
from dpodl.analysis.attacks.rows import Effort
from dpodl.analysis.block_time import sums
from dpodl.analysis.block_time.law import KNOTS, BlockTimeLaw, exponential
from dpodl.analysis.block_time.uncertain import UncertainLaw
from dpodl.analysis.bounds import backbone, latency
from dpodl.analysis.calibration import choice, quantities
from dpodl.analysis.confirmations import any_block, any_block_seen, rare_ages
from dpodl.analysis.effects import delay_equivalence, memorylessness
from dpodl.analysis.estimation.estimate import Estimate, Refused
from dpodl.analysis.estimation.training_error import UNKNOWN
from dpodl.analysis.good_periods import decay, independence, training_oracle
from dpodl.analysis.race import splitting, tilting, walking
from dpodl.analysis.race.walk import Race
from dpodl.analysis.simulation import levels
from dpodl.analysis.simulation.levels import network

from .attack_settings import curves_of, setting_of

KEY = jax.random.key(3)
ROOT = Path(__file__).parents[2]
# e^-0.1 of the blocks never come.
STOPS = BlockTimeLaw(np.minimum(np.arange(KNOTS) / 100.0, 0.1), 1.0, 0.0, 0.0, False)
LOSING = Race(exponential(0.7), exponential(0.3), 0.0)
WINNING = Race(exponential(0.3), exponential(0.7), 0.0)
ONE = Estimate(0.5, 0.4, 0.6, 100, "test")


class Case(NamedTuple):
    """A refusal: what it says, what reaches it, and its way out (None: not cheap)."""

    says: str
    reach: Callable[[], object]
    way_out: Callable[[], object] | None = None


def certain(law: BlockTimeLaw) -> UncertainLaw:
    return UncertainLaw(law)


def net(law: BlockTimeLaw, **options):
    given = {"provers": 10, "beta": 0.2, "delay_steps": 0.0} | options
    return network(law, **given)


def evidence(beta: float, provers: int = 10) -> strategy_rows.Evidence:
    at = setting_of(provers=provers, beta=beta)
    return strategy_rows.Evidence(KEY, at, [], UNKNOWN)


def row(found):
    """A refused row of the attack table keeps the sentence: raise it again."""
    if found.verdict == "refused":
        raise Refused(found.reason)
    return found


def windows(counts) -> independence.WindowCounts:
    return independence.WindowCounts(np.asarray(counts), 10, 5.0)


def simulated(law: BlockTimeLaw):
    return levels.simulate(KEY, net(law), levels=16, replicas=8)


def runs(looks: int = 40, count: int = 20):
    return curves_of(np.full(count, min(4, looks)), looks=looks)


def oracle(curves):
    return training_oracle.paper_bounds(
        0, curves, t_acc=0.9, d_acc=0.4, p_2=0.5, honest=5, p=ONE
    )


CASES = {
    "named_race.race": Case(
        "agreement: some level never got a block",
        lambda: named_race.race(
            0, STOPS, [1, 1], delay_steps=1.0, levels=64, replicas=64
        ),
        lambda: named_race.race(
            0, exponential(0.1), [1, 1], delay_steps=1.0, levels=64, replicas=64
        ),
    ),
    "named_race.domination": Case(
        "agreement: nobody may ever win",
        lambda: named_race.domination(STOPS, [1.0, 2.0]),
        lambda: named_race.domination(exponential(0.1), [1.0, 2.0]),
    ),
    "any_block outgrows": Case(
        "once N is long; how soon, simulated levels",
        lambda: any_block.any_block(WINNING, [5], horizon=10),
        lambda: any_block_seen.follow_all(
            levels.simulate(
                KEY, net(exponential(0.1), beta=0.8), levels=32, replicas=8
            ),
            delay_steps=0.0,
            horizon=10,
        ),
    ),
    "any_block rarer than float64": Case(
        "which float64 cannot hold; any_block_bound and log_persistence go further",
        lambda: any_block.memoryless_any_block(0.01, 400, 10),
        lambda: any_block.memoryless_any_block(0.01, 100, 10),
    ),
    "selfish": Case(
        "selfish: it needs β < ½, got 0.5; lower network.beta",
        lambda: row(strategy_rows.selfish_row(evidence(0.5), 1.0)),
    ),
    "best_withholding": Case(
        "best_withholding: it needs β < ½, got 0.5; lower network.beta",
        lambda: row(strategy_rows.withholding_row(evidence(0.5), 1.0)),
    ),
    "balance": Case(
        "balance: 1 honest provers cannot be split, at least 2",
        lambda: row(
            strategy_rows.balance_row(evidence(0.5, provers=2), (1e-3,), Effort())
        ),
        lambda: row(
            strategy_rows.balance_row(evidence(0.25, provers=4), (1e-3,), Effort())
        ),
    ),
    "pooling": Case(
        "pooling: 1 corrupted provers are no pool, at least 2 are needed",
        lambda: delay_equivalence.pooling(
            {1.0: certain(exponential(0.1))},
            certain(exponential(0.1)),
            provers=10,
            adversarial=1,
            delay_steps=0.0,
        ),
    ),
    "delay_equivalence threshold": Case(
        "a shorter delay_steps may help where the first is not positive",
        lambda: delay_equivalence._threshold(
            exponential(0.1), 10, lambda units: 10.0 / units, 1e9
        ),
        lambda: delay_equivalence._threshold(
            exponential(0.1), 10, lambda units: 10.0 / units, 1.0
        ),
    ),
    "design never ends": Case(
        "interval: the law leaves mass that never ends; set abandon_steps",
        lambda: choice.solve_interval(
            setting_of(
                np.r_[np.full(20, 4), np.full(20, 99)],
                lottery=setting_of().lottery._replace(abandon_steps=None),
            ),
            chosen(),
            interval=1e4,
        ),
        lambda: choice.solve_interval(
            setting_of(np.r_[np.full(20, 4), np.full(20, 99)]), chosen(), interval=1e4
        ),
    ),
    "design too long": Case(
        "would be below 1; ask for a shorter one",
        lambda: choice.solve_interval(setting_of(), chosen(), interval=1e80),
        lambda: choice.solve_interval(setting_of(), chosen(), interval=1e4),
    ),
    "design safe from all": Case(
        "there is no share that it is not safe from",
        lambda: quantities.threshold_share(
            exponential(0.1), choice.party_of(setting_of()), exponential(1e-12)
        ),
    ),
    "effects no end": Case(
        "some block time has no end; set abandon_steps",
        lambda: memorylessness.finite(lambda law: math.inf, certain(STOPS)),
    ),
    "effects nobody wins": Case(
        "effects: nobody may ever win",
        lambda: memorylessness.machine_share(STOPS, speed=2.0, units=3.0),
        lambda: memorylessness.machine_share(exponential(0.1), speed=2.0, units=3.0),
    ),
    "dispersion": Case(
        "dispersion: no window has a success; use longer windows",
        lambda: independence.dispersion(windows(np.zeros((30, 8), int))),
        lambda: independence.dispersion(windows(np.ones((30, 8), int))),
    ),
    "window distance": Case(
        "window distance: no window of one half of the replicas",
        lambda: independence._frequent(np.zeros((20, 8), int), 10, 1),
        lambda: independence._frequent(np.ones((20, 8), int), 10, 1),
    ),
    "latency": Case(
        "a larger target, or a larger most",
        lambda: latency.safe_depth(1e-30, 0.4, x=0.1, most=4),
        lambda: latency.safe_depth(1e-3, 0.1, x=0.1),
    ),
    "a law that never ends has no sum": Case(
        "block times: a law that may never end has no sum with another one",
        lambda: sums._mean(STOPS),
        lambda: sums._mean(exponential(0.1)),
    ),
    "a level never got a block": Case(
        "block intervals: some level never got a block, since the law leaves mass",
        lambda: simulated(STOPS),
        lambda: simulated(exponential(0.1)),
    ),
    "splitting outgrows": Case(
        "persistence by splitting: in the i.i.d. race",
        lambda: splitting.persistence(KEY, net(exponential(0.1), beta=0.8), 4),
    ),
    "splitting without anybody": Case(
        "no particle of any repetition caught up",
        lambda: splitting._estimate(np.full(10, -np.inf), 6, 64),
        lambda: splitting._estimate(np.zeros(10), 6, 64),
    ),
    "time rule outgrows": Case(
        "and no age is safe; a smaller adversary or a",
        lambda: rare_ages.safe_time(KEY, WINNING, [1e-3]),
    ),
    "one look": Case(
        "f_1: a run must have 2 looks, before and after a query, got 1",
        lambda: oracle(runs(1)),
        lambda: oracle(runs()),
    ),
    "few runs": Case(
        "runs are needed, got 5 (training.runs)",
        lambda: oracle(runs(count=5)),
        lambda: oracle(runs()),
    ),
    "backbone": Case(
        "common prefix follows; a smaller epsilon or adversary may do",
        lambda: backbone.backbone_guarantees(100, 0.05, 0.04, 0.03, 0.5),
        lambda: backbone.backbone_guarantees(100, 0.05, 0.048, 0.005, 0.1),
    ),
    "decay": Case(
        "replicas cannot tell the covariance of",
        lambda: decay._require_enough(np.ones(12, bool), np.zeros((23, 12)), 0.5),
        lambda: decay._require_enough(np.ones(12, bool), np.zeros((24, 12)), 0.5),
    ),
}


def chosen() -> choice.Choice:
    return choice.Choice(t_acc=0.9, p_1=1.0, p_2=0.1, s_min=0)


@pytest.mark.parametrize("name", CASES)
def test_the_sentence_is_reached(name):
    with pytest.raises(Refused) as refusal:
        CASES[name].reach()
    assert CASES[name].says in str(refusal.value)


@pytest.mark.parametrize("name", [n for n, case in CASES.items() if case.way_out])
def test_the_way_out_helps(name):
    way_out = CASES[name].way_out
    assert way_out is not None
    way_out()


@pytest.mark.parametrize(
    ("module", "constant", "value", "call", "says"),
    [
        (
            any_block,
            "_TOLERANCE",
            0.0,
            lambda: any_block.any_block(LOSING, [5], horizon=10),
            "any block: the numerical error is",
        ),
        (
            walking,
            "_TOLERANCE",
            0.0,
            lambda: walking.persistence(KEY, LOSING, [3], walks=2**15),
            "the lattice's error may be",
        ),
        (
            rare_ages,
            "_STEPS",
            3,
            lambda: rare_ages._risk(
                KEY, LOSING, *rare_ages._prepared(LOSING), 9.0, 1, 1e9
            ),
            "effective of 4096 paths, at least",
        ),
        (
            optimal_selfish,
            "_ROUNDS",
            0,
            lambda: optimal_selfish.optimal_selfish_revenue(0.4, 0.0, most_blocks=8),
            "selfish mining: no best policy after 0 rounds",
        ),
        (
            tilting,
            "_crossing",
            lambda depths, *_: depths[-1] + 300,
            lambda: tilting.smallest_depths(KEY, LOSING, [1e-3], paths=1),
            "smallest depths: no depth was found for the targets [0.001] in four",
        ),
    ],
    ids=["any_block", "lattice_walk", "time_rule", "selfish", "tilting"],
)
def test_numerical_limits_are_told(monkeypatch, module, constant, value, call, says):
    """Limits that good numerics keep away from: reached by moving the limit."""
    monkeypatch.setattr(module, constant, value)
    with pytest.raises(Refused) as refusal:
        call()
    assert says in str(refusal.value)


def sentences() -> dict[str, str]:
    """Where the sources refuse, and the fixed parts of what they say."""
    trees = {
        path: ast.parse(path.read_text())
        for folder in ("analysis", "experiments", "models", "figures")
        for path in sorted((ROOT / folder).rglob("*.py"))
    }
    named = {
        target.id: fixed(node.value, {})
        for tree in trees.values()
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found = {}
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Refused":
                place = path.relative_to(ROOT).as_posix()
                found[f"{place}:{node.lineno}"] = fixed(node.args[0], named)
    return found


def fixed(node: ast.AST, named: dict[str, str]) -> str:
    """The constant text of a sentence, with \0 for what is filled in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(fixed(part, named) for part in node.values)
    if isinstance(node, ast.BinOp):
        return fixed(node.left, named) + fixed(node.right, named)
    if isinstance(node, ast.Name):
        return named.get(node.id, "\0")
    return "\0"


# A sentence that is another one's, passed on.
PASSED_ON = "\0"
ENOUGH = 16


def test_every_refusal_of_the_sources_is_in_some_test():
    """A new refusal needs a case here or a ``raises`` in its module's tests."""
    texts = "\n".join(
        node.value.replace("\\", "")
        for path in (ROOT / "tests").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    missing = {
        place: sentence
        for place, sentence in sentences().items()
        if sentence != PASSED_ON and not held(sentence, texts)
    }
    assert len(sentences()) > 80
    assert missing == {}


def held(sentence: str, texts: str) -> bool:
    """Whether some piece of the sentence's fixed text is in the texts."""
    pieces = (sentence[i : i + ENOUGH] for i in range(len(sentence) - ENOUGH + 1))
    return any("\0" not in piece and piece in texts for piece in pieces)
