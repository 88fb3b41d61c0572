"""What an adversary and the protocol's rules make of the two laws that race.

A config names one attack and the rules of its chain; a rule that stops the attack
leaves the adversary what an honest prover has. So

    attack              stopped by                            else
    cross_slot_new      reference window < gap                catalogue, by step rule
    cross_slot_old      any reference window                  catalogue
    withheld_mtx        reference window 0                    catalogue, by step rule
    reference_relay,    reference window 0                    catalogue; without a step
    surplus_reference                                         rule one step is due
    grind_posthash      tolerance 0                           catalogue
    relabel, equivocate binding header                        catalogue

Honest provers that start from models (``policies.py``) have a law of their own, and so
has an adversary that does as they do; other attacks on them are not known.

The b-th law of the adversary comes from the same resample of the runs as the b-th
honest one, and its extremes from what training does beyond the horizon for all alike.
"""

from collections.abc import Callable
from typing import NamedTuple

from ..block_time.law import BlockTimeLaw
from ..estimation.estimate import Refused
from . import attack as attacks, grinding, warm
from .attack import Attack
from .policies import POLICIES, reference_policy
from .situation import Situation, extreme, plain, resamples

# What changes neither law: who holds the chain back, or when it is
# shown, or what is made of honest blocks.
PLAIN = (
    *("honest", "private", "private_premined", "selfish", "best", "balance"),
    *("relabel", "equivocate"),
)
LAWS = (
    *PLAIN,
    *("cross_slot_new", "cross_slot_old", "withheld_mtx", "reference_relay"),
    *("surplus_reference", "grind_prehash", "grind_posthash", "forged_checkpoints"),
)
"""Attacks that act through the law of a block."""


class Conduct(NamedTuple):
    """What the corrupted provers do, and the rules they meet.

    Attributes:
        attack: One of ``LAWS``.
        kind: Whose model ``cross_slot_new`` starts from, a block's or an mtx's.
        gap: Blocks from the one that model extends to the tip.
        reference: Which model honest provers start from: ``fresh``, ``latest_mtx`` or
            ``tip_model``.
        step_rule: Whether old work must be matched.
        reference_window: How many blocks back a referenced model may extend; None: any.
        bound: Whether key and transactions enter h_1.
        exact: Whether Verify compares weights bit for bit.
    """

    attack: str = "private"
    kind: str = "mtx"
    gap: int = 1
    reference: str = "fresh"
    step_rule: bool = True
    reference_window: int | None = 6
    bound: bool = True
    exact: bool = True

    def needs(self) -> tuple[str, ...]:
        """Which warm starts must be measured: ``warm`` (a block's), ``mtx``."""
        found = {"latest_mtx": ("mtx",), "tip_model": ("warm",)}.get(self.reference, ())
        if self.stopped():
            return found
        if self.attack == "withheld_mtx":
            return (*found, "mtx")
        if self.attack == "cross_slot_new":
            return (*found, "warm" if self.kind == "block" else "mtx")
        if self.attack in ("cross_slot_old", "reference_relay", "surplus_reference"):
            return (*found, "warm")
        return found

    def changes_law(self) -> bool:
        """Whether a corrupted prover's law may be another than an honest one's."""
        return self.attack not in PLAIN and not self.stopped()

    def stopped(self) -> str:
        """The rule that leaves nothing of the attack; empty: none does."""
        window = self.reference_window
        back = self.gap if self.attack == "cross_slot_new" else 1
        named = ("cross_slot_new", "withheld_mtx", "reference_relay")
        if self.attack == "cross_slot_old" and window is not None:
            return "reference_window: M' extends no ancestor"
        if (
            self.attack in (*named, "surplus_reference")
            and window is not None
            and window < back
        ):
            return f"reference_window: the model extends a block {back} back"
        if self.attack == "grind_posthash" and self.exact:
            return "tolerance = 0: a nudged model is not the one that was trained"
        if self.attack in ("relabel", "equivocate") and self.bound:
            return "binding = header: the proof holds the miner's key"
        return ""


class WorldLaws(NamedTuple):
    """Both laws of an attack, with those of resampled runs and beyond the horizon.

    Attributes:
        attack: Under the law of all runs.
        resamples: Under each resample.
        extremes: Under the slowest and the fastest behaviour beyond the horizon.
    """

    attack: Attack
    resamples: tuple[Attack, ...]
    extremes: tuple[Attack, ...]

    @property
    def adversaries(self) -> tuple[BlockTimeLaw, ...]:
        """The adversary's laws: of all runs, of each resample, of the extremes."""
        every = (self.attack, *self.resamples, *self.extremes)
        return tuple(each.adversary for each in every)


def builder_of(conduct: Conduct) -> Callable[[Situation], Attack]:
    """What builds a conduct's attack from a situation.

    Raises:
        ValueError: If the attack is none of ``LAWS``, or there is no such policy.
        Refused: If the attack on provers that follow the policy is not known.
    """
    if conduct.attack not in LAWS:
        raise ValueError(
            f"attack must be one of {', '.join(LAWS)}, got {conduct.attack!r}"
        )
    build = _builder(conduct)
    return lambda at: build(at)._replace(name=conduct.attack)


def _builder(conduct: Conduct) -> Callable[[Situation], Attack]:
    name, on = conduct.attack, conduct.step_rule
    if conduct.reference != "fresh":
        return _policy(conduct)
    if conduct.stopped() or name in PLAIN:
        return lambda at: _plain(at, conduct)
    if name == "cross_slot_new":
        return lambda at: warm.cross_slot_new(
            at, on, kind=conduct.kind, gap=conduct.gap
        )
    if name in ("reference_relay", "surplus_reference") and not on:
        # Nothing is due: each block continues the last one at its next look.
        return lambda at: warm.cross_slot_new(at, False, kind="block")
    builders: dict[str, Callable[[Situation], Attack]] = {
        "withheld_mtx": lambda at: warm.withheld_mtx(at, on),
        "cross_slot_old": lambda at: warm.cross_slot_old(at, False),
        "reference_relay": lambda at: warm.reference_relay(at, False),
        "surplus_reference": lambda at: warm.surplus_reference(at, False),
        "grind_prehash": grinding.grind_prehash,
        "grind_posthash": lambda at: grinding.grind_posthash(at, False),
        "forged_checkpoints": lambda at: warm.forged_checkpoints(at, False),
    }
    return builders[name]


def world_laws(at: Situation, conduct: Conduct, *, seed: int, count: int) -> WorldLaws:
    """Both laws under a conduct, each with ``count`` resamples of the runs.

    Raises:
        ValueError: As ``builder_of``.
        Refused: As ``builder_of``, or if the evidence supports no such law.
    """
    build = builder_of(conduct)
    found = build(at)
    drawn = tuple(build(each) for each in resamples(at, seed, count))
    return WorldLaws(found, drawn, tuple(build(each) for each in extreme(at)))


def _plain(at: Situation, conduct: Conduct) -> Attack:
    found = attacks.private(at, premined=conduct.attack == "private_premined")
    if conduct.attack == "relabel":
        found = attacks.relabel(at, conduct.bound)
    if conduct.attack == "equivocate":
        found = attacks.equivocate(at, conduct.bound)
    if stopped := conduct.stopped():
        words = f"{conduct.attack} is stopped by {stopped}; a private chain is left"
        found = found._replace(assumptions=words)
    return found


def _policy(conduct: Conduct) -> Callable[[Situation], Attack]:
    policy = conduct.reference
    if policy not in POLICIES:
        raise Refused(
            f"protocol.reference = {policy}: what a block costs provers that start "
            f"from such models is not known; known are fresh, {', '.join(POLICIES)}"
        )
    if conduct.changes_law():
        raise Refused(
            f"adversary.attack = {conduct.attack} on provers with protocol.reference = "
            f"{policy}: its law is not known; take protocol.reference = fresh, or "
            f"adversary.attack of {', '.join(PLAIN)}"
        )
    window = conduct.reference_window
    if window is not None and window < 1:
        return lambda at: _plain(at, conduct)

    def build(at: Situation) -> Attack:
        found = reference_policy(at, conduct.step_rule, policy=policy)
        known = plain(at).known_until
        return found._replace(
            known_until=known,
            premined=conduct.attack == "private_premined",
            takes_all=conduct.attack == "relabel" and not conduct.bound,
            free_blocks=int(conduct.attack == "equivocate" and not conduct.bound),
        )

    return build
