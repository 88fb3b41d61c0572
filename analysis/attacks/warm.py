"""Attacks that start from a model: cross-time-slot, lineages, forged checkpoints.

Notation:
    bk_m, bk_n     earliest block a referenced model extends; the extended block
    S_i            steps of the model in bk_i
    S'             steps of the referenced models, recursively
    D              least steps that are left to do, Σ_{i=m}^{n−1} S_i + S_min − S'

What the step rule leaves to a *chain* of references. Let a private chain leave the
public one at bk_m with a fresh block, each further block referring to the one before.
Its lineage is bk_{m+1} … bk_n, so that
    D = Σ_{i=m}^{n−1} S_i + S_min − Σ_{i=m+1}^{n} S_i = S_m + S_min − S_n:
two neighbours need S_m + S_min steps together, (S_m + S_min)/2 a block, from a model
that is above T_acc all the time. With an mtx of S_x steps on bk_m in the lineage it is
S_m + S_min − S_n − S_x, for *every* block: work that is done once is counted each time.

Each law is what the rules leave at best; a corrupted prover that would be faster with
a fresh model uses one.
"""

import math

import numpy as np
from jaxtyping import Float, Int

from ...models.learning.chunk_program import Bucket
from ...models.learning.curves import CurveSet
from ...models.scheme.branching import Branches
from ..block_time.empirical import EmpiricalLaw
from ..block_time.law import BlockTimeLaw, fastest_of, geometric, mean, quantile
from ..block_time.sums import followed_by, retried
from ..estimation.estimate import Refused
from .attack import Attack, choose_faster
from .situation import Situation, law_in, plain, ticketed

# Quantiles that stand for the law of S_i where rules ask for steps of earlier blocks.
_DRAWS = 64
# Honest segments beyond q that a forger may add.
_MORE_SEGMENTS = (0, 1, 2, 4, 8, 16, 32)


def step_debt(
    reference_steps: Int[np.ndarray, " n"],
    chain_steps: Int[np.ndarray, " n"] | int,
    s_min: int,
) -> Int[np.ndarray, " n"]:
    """D = max(Σ S_i + S_min − S', 1); no step rule: with Σ S_i = 0."""
    return np.maximum(np.asarray(chain_steps) + s_min - reference_steps, 1)


def block_steps(
    at: Situation, blocks: int, count: int, *, seed: int = 0
) -> Int[np.ndarray, " count"]:
    """Σ S_i of so many honest blocks, ``count`` independent sums (stratified).

    S_i is the interval of the fastest honest prover less its mean pre-hash, in whole
    looks, at least S_min; a step of a block is taken to cost the mean of all runs.
    """
    group = fastest_of(plain(at).law, at.honest)
    hashing = 1 / (at.lottery.p_1 * at.lottery.hashes_per_step)
    cost = 1.0 if at.step_costs is None else float(at.step_costs.mean())
    times = quantile(group, (np.arange(count) + 0.5) / count) - hashing
    looks = np.ceil(times / cost / at.check_every - 1e-6)
    least = max(at.check_every, at.s_min)
    steps = np.clip(at.check_every * looks, least, int(at.curves.steps[-1]))
    generator = np.random.default_rng(seed)
    total = sum((generator.permutation(steps) for _ in range(blocks)), np.zeros(count))
    return np.asarray(total).astype(int)


def warm_law(at: Situation, warm: Branches | None, due: np.ndarray) -> EmpiricalLaw:
    """Law of a block from a referenced model, no ticket before ``due`` steps.

    Args:
        at: The situation.
        warm: Measured branches; None: above T_acc at every look.
        due: Steps, one number a branch (None: any number of them).

    Raises:
        Refused: If too few branches get a ticket within the horizon.
    """
    curves = _always_above(at.curves, len(due)) if warm is None else warm.curves
    abandon, lottery = at.lottery.abandon_steps, at.lottery
    if abandon is not None:
        lottery = lottery._replace(abandon_steps=min(abandon, int(curves.steps[-1])))
    costs = _warm_costs(at, warm, len(due))
    return law_in(at, ticketed(curves, due), lottery, costs)


def cross_slot_new(
    at: Situation, on: bool, *, kind: str = "mtx", gap: int = 1
) -> Attack:
    """(a) Extend the tip from an old model: fewer new steps.

    Args:
        at: The situation; without measured branches an ``mtx`` is Refused.
        on: Whether the step rule holds.
        kind: The model is an ``mtx``'s (below T_acc) or a ``block``'s.
        gap: n − m, blocks between the one the model extends and the tip.
    """
    warm = at.warm
    if kind == "mtx":
        warm = at.mtx
        if warm is None:
            raise Refused(
                "cross_slot_new: what a model below T_acc saves is not known; "
                "branch real trainings (models.branching) at an accuracy below t_acc"
            )
    steps = block_steps(at, 1, _DRAWS) if warm is None else warm.reference_steps
    # Another order: the S_i of different blocks are independent.
    chain = block_steps(at, gap, len(steps), seed=1) if on else 0
    due = step_debt(steps, chain, at.s_min)
    how = f"an {kind} {gap} block(s) old" if kind == "mtx" else "the tip's own model"
    return warm_attack(
        at,
        warm,
        due,
        name=f"cross_slot_new ({kind})",
        mitigation="step rule",
        on=on,
        assumptions=f"from {how}, and one like it is at hand for every block; S_i of "
        "honest blocks independent; D as the ledger has it; honest provers start "
        "afresh",
    )


def withheld_mtx(at: Situation, on: bool) -> Attack:
    """Train on private models that honest provers never see."""
    attack = cross_slot_new(at, on, kind="mtx")
    return attack._replace(
        name="withheld_mtx",
        assumptions="one private model of the measured accuracy, one block old; honest "
        "provers start afresh; the step rule asks the same of hidden models",
    )


def cross_slot_old(at: Situation, on: bool) -> Attack:
    """(b) Rewrite history from a model of its future.

    The model M' extends a block off the private chain, whose common ancestor with it
    is where it leaves, bk_m. So D = S_m + S_min − S_n − S': the step rule does not
    bind once S' ≥ S_m + S_min. The reference rule forbids M'.
    """
    law = plain(at)
    if on:
        return _attack(
            at, law, law.law, name="cross_slot_old", mitigation="reference rule",
            on=True, debt=math.nan,
            assumptions="M' cannot be named; but see reference_relay",
        )  # fmt: skip
    count = _DRAWS if at.warm is None else len(at.warm.reference_steps)
    earlier = block_steps(at, 1, count)
    model = block_steps(at, 1, count, seed=1)
    if at.warm is not None:
        model = at.warm.reference_steps
    due = np.maximum((earlier + at.s_min - model) // 2, 1)
    return warm_attack(
        at,
        at.warm,
        due,
        name="cross_slot_old",
        mitigation="reference rule",
        on=False,
        assumptions="M' is one public block's model above T_acc; step rule on; every "
        "private block continues the one before; what is due is shared evenly by "
        "neighbours",
    )


def reference_relay(at: Situation, on: bool) -> Attack:
    """A private chain each block of which continues the one before it.

    Within the step rule *and* the reference rule. The mitigation is one the scheme
    does not have: every block, with or without a reference, shows S_min steps of its
    own, and S_min is such that nine fresh runs of ten have reached T_acc by then.
    """
    typical = int(block_steps(at, 1, _DRAWS).mean())
    return _lineage_attack(
        at,
        on,
        (typical + at.s_min) // 2,
        name="reference_relay",
        assumptions="leaves at a block of mean S_m, whose fresh first successor is "
        "not counted; step rule and reference rule on",
    )


def surplus_reference(at: Situation, on: bool) -> Attack:
    """As ``reference_relay`` with one mtx of S_m + S_min steps in the lineage."""
    return _lineage_attack(
        at,
        on,
        0,
        name="surplus_reference",
        assumptions="the mtx's S_m + S_min steps, done once, are not counted; a new "
        "one every 256 blocks; step rule and reference rule on",
    )


def forged_checkpoints(at: Situation, on: bool) -> Attack:
    """Claim segments that were never trained (docs/science/verification.md).

    The first c segments are said to end in a stolen model above T_acc; h honest ones
    follow. A challenge passes with C(h, q)/C(h + c, q), so that h ≥ q.

    Off: challenges come from Hash(root, block). A forged leaf's claimed accuracy can
    be changed at will, so a new root costs hashes and no training: A = P + h segments
    + looks + Geometric(pass) hashes. On: they come from a later block, and a block
    that fails is lost with its training.
    """
    law, q = plain(at), at.challenges
    segment = at.checkpoint_every or at.check_every
    stolen = at.warm if at.warm is not None and at.warm.way == "transplant" else None
    # A nonce is of use if it picks the stolen model's architecture.
    names = [getattr(each, "hpp", None) for each in at.curves.initializations]
    nets = [each.architecture if each else "" for each in names]
    share = max(nets.count(each) for each in set(nets)) / len(nets)
    here = at._replace(lottery=at.lottery._replace(p_1=at.lottery.p_1 * share))
    best: tuple[BlockTimeLaw, float, int] | None = None
    for honest in (max(q, 1) + more for more in (_MORE_SEGMENTS if on else (0,))):
        forged = max(1, math.ceil(at.s_min / segment) - honest)
        passes = math.comb(honest, q) / math.comb(honest + forged, q)
        count = 8 if stolen is None else len(stolen.origins)
        try:
            one = warm_law(here, stolen, np.full(count, honest * segment)).law
        except Refused:
            break
        if passes < 1:
            hashing = geometric(passes, trial=1 / at.lottery.hashes_per_step)
            one = retried(one, passes) if on else followed_by(one, hashing)
        if best is None or _group_mean(at, one) < _group_mean(at, best[0]):
            best = one, passes, honest
    adversary = law.law if best is None else choose_faster(at, law, best[0])
    _, passes, honest = best or (None, 0.0, 0)
    attack = _attack(
        at,
        law,
        adversary,
        name="forged_checkpoints",
        mitigation="challenges from a later block",
        on=on,
        debt=float(honest * segment),
        assumptions="a stolen block's model, "
        + ("measured as a transplant" if stolen else "above T_acc at every look")
        + "; its architecture must be drawn; Verify re-runs q segments and the last",
    )
    more = (("passes", passes), ("honest_segments", float(honest)))
    return attack._replace(figures=attack.figures + more)


def _lineage_attack(at: Situation, on: bool, due: int, *, name, assumptions) -> Attack:
    count = 8 if at.warm is None else len(at.warm.origins)
    if on:
        at = at._replace(s_min=max(at.s_min, _late_passage(at)))
        due = max(due, at.s_min)
    attack = warm_attack(
        at,
        at.warm,
        np.full(count, max(due, 1)),
        name=name,
        mitigation="own steps ≥ S_min",
        on=on,
        assumptions=assumptions,
    )
    return attack._replace(figures=(*attack.figures, ("s_min", float(at.s_min))))


def _late_passage(at: Situation) -> int:
    """Steps by which 90 % of the fresh runs that reach T_acc have done so."""
    above = at.curves.accuracy >= at.lottery.t_acc
    first = at.curves.steps[np.argmax(above, axis=1)][above.any(axis=1)]
    return int(np.quantile(first, 0.9, method="inverted_cdf"))


def warm_attack(
    at: Situation, warm: Branches | None, due: np.ndarray, **words
) -> Attack:
    """The private attack from referenced models with ``due`` steps left to each.

    Args:
        at: The situation.
        warm: As ``warm_law``.
        due: As ``warm_law``.
        words: Name, mitigation, whether it is on, assumptions.
    """
    law = plain(at)
    try:
        adversary = choose_faster(at, law, warm_law(at, warm, due).law)
    except Refused:
        # More steps are due than the horizon has: only a fresh model is left.
        adversary = law.law
    return _attack(at, law, adversary, debt=float(due.mean()), **words)


def _attack(
    at: Situation, law: EmpiricalLaw, adversary: BlockTimeLaw, *, debt: float, **words
) -> Attack:
    gain = _group_mean(at, law.law) / _group_mean(at, adversary)
    return Attack(
        honest=law.law,
        adversary=adversary,
        known_until=law.known_until,
        figures=(("debt_steps", debt), ("speed_up", gain)),
        **words,
    )


def _group_mean(at: Situation, law: BlockTimeLaw) -> float:
    """E[fastest of n_a]."""
    return mean(fastest_of(law, at.adversarial))


def _always_above(curves: CurveSet, rows: int) -> CurveSet:
    """Curves of models that are above T_acc at every look."""
    shape = (rows, len(curves.steps))
    return curves._replace(
        initializations=curves.initializations[:1] * rows,
        correct=np.full(shape, curves.eval_samples),
        loss=np.zeros(shape),
    )


def _warm_costs(
    at: Situation, warm: Branches | None, rows: int
) -> Float[np.ndarray, " rows"] | None:
    if at.step_costs is None:
        return None
    average = float(at.step_costs.mean())
    if warm is None:
        return np.full(rows, average)
    known = {
        Bucket(each.hpp.architecture, each.hpp.batch_size): float(cost)
        for each, cost in zip(at.curves.initializations, at.step_costs, strict=True)
    }
    return np.array(
        [
            known.get(Bucket(each.hpp.architecture, each.hpp.batch_size), average)
            for each in warm.curves.initializations
        ]
    )
