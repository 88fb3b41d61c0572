"""A rule along a chain: a state that each block takes further.

Notation
    C       the rule's clock: timestamps, or Σ own proven steps     ``State.clock``
    h       height
    D       how late the chain is, C − C_a − T (h − h_a)

A saturated block is one that met the highest target, or one within 2^-10 of it, as far
as windows round it away: nothing can be made easier for it,
so that what it is late is no reason for later blocks to come faster. Under
``anti_windup`` the rule's clock therefore runs for at most T while such a block is
found, whichever rule reads it; for ASERT that moves its anchor. WTEMA forgets what it
could not give anyway.
"""

from typing import NamedTuple

from . import windows
from .exponential import RADIX, quotient, scaled
from .rule import Rule, scheduled
from .shares import ONE, share_of_steps
from .timestamps import MEDIAN_BLOCKS

# ln 2 in units of 2^-16: the half-life of an average over N blocks is N T ln 2.
_LN_2 = 45426
# An average over N ≥ 2 blocks gets here only by timestamps that go far back or ahead.
_CLAMP = 4


class Seen(NamedTuple):
    """What a rule keeps of a block.

    Attributes:
        time: Its timestamp.
        clock: C at it.
        steps: Own steps that it proves.
        target: What it had to meet.
    """

    time: int
    clock: int
    steps: int
    target: int


class Anchor(NamedTuple):
    """From where lateness counts: a block's height and clock, the target after it."""

    height: int
    clock: int
    target: int


class State(NamedTuple):
    """What a rule knows after a block.

    Attributes:
        height: h.
        target: What the next block must meet.
        window: The last blocks, the oldest first.
        anchor: Of ASERT and the step clock; of epochs, where this one began.
        share: s, in units of 2^-16.
    """

    height: int
    target: int
    window: tuple[Seen, ...]
    anchor: Anchor
    share: int

    @property
    def clock(self) -> int:
        """C at the last block."""
        return self.window[-1].clock


def saturated_from(rule: Rule) -> int:
    """The target from which on a block counts as saturated."""
    return rule.highest - (rule.highest >> 10)


def begin(rule: Rule, target: int, *, time: int = 0) -> State:
    """The state after the genesis.

    Args:
        rule: The rule.
        target: What the first block must meet.
        time: The genesis' timestamp.
    """
    target = min(max(target, 1), rule.highest)
    clock = 0 if rule.name == "steps" else time
    first = Seen(time, clock, 0, target)
    return State(0, target, (first,), Anchor(0, clock, target), rule.share)


def advance(rule: Rule, state: State, *, time: int, steps: int) -> State:
    """The state after one more block.

    Args:
        rule: The rule.
        state: Before it.
        time: The block's timestamp.
        steps: Own steps that it proves.
    """
    last = state.window[-1]
    took = steps if rule.name == "steps" else time - last.time
    if rule.anti_windup and state.target >= saturated_from(rule):
        took = min(took, rule.interval)
    seen = Seen(time, last.clock + took, steps, state.target)
    window = (*state.window, seen)[-_kept(rule) :]
    state = state._replace(
        height=state.height + 1, window=window, share=_share(rule, window, state)
    )
    return _UPDATES[rule.name](rule, state)


def _kept(rule: Rule) -> int:
    # cw-144 reads two blocks more at the beginning and one at the end.
    return max(rule.blocks + 3, rule.share_blocks, MEDIAN_BLOCKS)


def _share(rule: Rule, window: tuple[Seen, ...], state: State) -> int:
    few = rule.share_blocks
    if not few or state.height + 1 < few:
        return state.share
    return share_of_steps([max(1, each.steps) for each in window[-few:]])


def _wtema(rule: Rule, state: State) -> State:
    """WTEMA: θ' = θ (1 + (X/T − 1) / N)."""
    took = state.clock - state.window[-2].clock
    due = rule.interval * scheduled(rule, state.share)
    counted = due + ONE * (took - rule.interval)
    counted = min(max(counted, due // _CLAMP), due * _CLAMP)
    target = state.target * counted // due
    return state._replace(target=min(max(target, 1), rule.highest))


def _asert(rule: Rule, state: State) -> State:
    """ASERT: ln θ' = ln θ_a + D / (N T), by aserti3-2d.

    Where s has changed, lateness counts from here on: another half-life would make
    another target of the lateness so far.
    """
    anchor = state.anchor
    half_life = scheduled(rule, state.share) * rule.interval * _LN_2 // (ONE * ONE)
    late = state.clock - anchor.clock
    late -= rule.interval * (state.height - anchor.height)
    exponent = quotient(late * RADIX, max(1, half_life))
    return state._replace(target=scaled(anchor.target, exponent, rule.highest))


def _asert_of_shares(rule: Rule, state: State) -> State:
    after = _asert(rule, state)
    if not (rule.schedule and rule.share_blocks):
        return after
    anchor = Anchor(after.height, after.clock, after.target)
    return after._replace(anchor=anchor)


def _window(rule: Rule, state: State) -> State:
    n = scheduled(rule, state.share) // ONE
    extra = 2 if rule.name == "cw144" else 0
    # What has no window yet keeps the genesis' target.
    if state.height < n + extra:
        return state
    part = state.window[-(n + 1 + extra) :]
    clocks = [each.clock for each in part]
    targets = [each.target for each in part]
    if rule.name == "cw144":
        target = windows.median_of_three(rule, clocks, targets)
    elif rule.name == "lwma":
        target = windows.weighted(rule, clocks, targets[1:])
    else:
        target = windows.simple(rule, clocks, targets[1:])
    return state._replace(target=target)


def _epoch(rule: Rule, state: State) -> State:
    n = max(2, scheduled(rule, state.share) // ONE)
    anchor, mended = state.anchor, rule.name == "epoch_mended"
    if state.height == anchor.height:
        anchor = anchor._replace(clock=state.clock)
    gaps = state.height - anchor.height
    if gaps < (n if mended else n - 1):
        return state._replace(anchor=anchor)
    target = windows.epoch(rule, state.target, state.clock - anchor.clock, n)
    # Bitcoin's next epoch begins with the next block, so that a gap is in none.
    first = state.height if mended else state.height + 1
    return state._replace(target=target, anchor=Anchor(first, state.clock, target))


_UPDATES = {
    "epoch": _epoch,
    "epoch_mended": _epoch,
    "wtema": _wtema,
    "asert": _asert_of_shares,
    "steps": _asert_of_shares,
    "lwma": _window,
    "sma": _window,
    "cw144": _window,
}
