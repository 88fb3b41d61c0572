"""Which laws race under an attack and the rules that it meets."""

import numpy as np
import pytest
from dpodl.analysis.attacks import attack as attacks, grinding, warm
from dpodl.analysis.attacks.situation import plain
from dpodl.analysis.attacks.world import LAWS, Conduct, builder_of, world_laws
from dpodl.analysis.block_time.empirical import bootstrap_laws, empirical_law
from dpodl.analysis.block_time.law import fastest_of, mean
from dpodl.analysis.estimation.estimate import Refused

from ..attack_settings import LOTTERY, branches_of, setting_of

WARM = branches_of([1, 1, 2, 2, 3, 3, 4, 4], steps=50)


def situation(**others):
    return setting_of(warm=WARM, mtx=WARM._replace(accuracy=0.8), **others)


def same(a, b) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


# Who is let through by which rules, and what the catalogue builds then.
OPEN = {"reference_window": None, "bound": False, "exact": False}


@pytest.mark.parametrize(
    ("conduct", "build"),
    [
        (Conduct("private"), attacks.private),
        (
            Conduct("private_premined"),
            lambda at: attacks.private(at, premined=True),
        ),
        (
            Conduct("cross_slot_new", step_rule=False),
            lambda at: warm.cross_slot_new(at, False, kind="mtx"),
        ),
        (
            Conduct("cross_slot_new", kind="block", gap=2),
            lambda at: warm.cross_slot_new(at, True, kind="block", gap=2),
        ),
        (
            Conduct("cross_slot_old", reference_window=None),
            lambda at: warm.cross_slot_old(at, False),
        ),
        (Conduct("withheld_mtx"), lambda at: warm.withheld_mtx(at, True)),
        (Conduct("reference_relay"), lambda at: warm.reference_relay(at, False)),
        (
            Conduct("reference_relay", step_rule=False),
            lambda at: warm.cross_slot_new(at, False, kind="block"),
        ),
        (Conduct("surplus_reference"), lambda at: warm.surplus_reference(at, False)),
        (Conduct("grind_prehash"), grinding.grind_prehash),
        (
            Conduct("grind_posthash", exact=False),
            lambda at: grinding.grind_posthash(at, False),
        ),
        (Conduct("relabel", bound=False), lambda at: attacks.relabel(at, False)),
        (Conduct("equivocate", bound=False), lambda at: attacks.equivocate(at, False)),
    ],
)
def test_an_attack_that_no_rule_stops_is_the_catalogue_s(conduct, build):
    at = situation(s_min=20)
    found, expected = builder_of(conduct)(at), build(at)
    assert found.name == conduct.attack
    assert same(found.honest, expected.honest)
    assert same(found.adversary, expected.adversary)
    for name in ("premined", "free_blocks", "takes_all", "known_until"):
        assert getattr(found, name) == getattr(expected, name)


@pytest.mark.parametrize(
    "conduct",
    [
        Conduct("cross_slot_new", reference_window=0, step_rule=False),
        Conduct("cross_slot_new", gap=7, step_rule=False),
        Conduct("cross_slot_old", reference_window=6),
        Conduct("withheld_mtx", reference_window=0, step_rule=False),
        Conduct("reference_relay", reference_window=0, step_rule=False),
        Conduct("surplus_reference", reference_window=0),
        Conduct("grind_posthash", exact=True),
        Conduct("relabel", bound=True),
        Conduct("equivocate", bound=True),
    ],
)
def test_a_rule_that_stops_an_attack_leaves_a_private_chain(conduct):
    at = situation()
    found = builder_of(conduct)(at)
    law = plain(at).law
    assert same(found.adversary, law)
    assert same(found.honest, law)
    assert (found.free_blocks, found.takes_all) == (0, False)
    assert conduct.stopped() in found.assumptions
    assert not conduct.changes_law()
    assert conduct.needs() == ()
    # The same attack where the rule is off is another.
    free = conduct._replace(**OPEN, step_rule=False, gap=1)
    assert free.stopped() == ""


def test_the_step_rule_costs_an_attacker_and_never_helps_it():
    at = situation(s_min=40)
    for name in ("cross_slot_new", "withheld_mtx", "reference_relay"):
        on, off = (
            mean(fastest_of(builder_of(Conduct(name, step_rule=x))(at).adversary, 2))
            for x in (True, False)
        )
        honest = mean(fastest_of(plain(at).law, 2))
        assert off <= on <= honest * (1 + 1e-9)
        assert off < honest


@pytest.mark.parametrize("attack", ["private", "grind_prehash"])
def test_resamples_and_extremes_belong_to_the_honest_ones(attack):
    """Beyond the horizon runs are left, so that slow, central and fast differ."""
    first = np.concatenate([np.arange(2, 32), np.full(10, 99)])
    at = setting_of(first, lottery=LOTTERY._replace(abandon_steps=None))
    found = world_laws(at, Conduct(attack), seed=5, count=3)
    drawn = bootstrap_laws(5, at.curves, at.lottery, 3)
    assert all(
        same(one.honest, law) for one, law in zip(found.resamples, drawn, strict=True)
    )
    whole = empirical_law(at.curves, at.lottery)
    assert same(found.attack.honest, whole.law)
    slow, fast = found.extremes
    assert same(slow.honest, whole.slowest)
    assert same(fast.honest, whole.fastest)
    assert not same(slow.honest, fast.honest)
    assert len(found.adversaries) == 6
    if attack == "private":
        assert same(found.adversaries[4], whole.slowest)


def test_honest_provers_that_start_from_models_have_a_law_of_their_own():
    at = situation(s_min=20)
    fresh = mean(plain(at).law)
    for policy in ("tip_model", "latest_mtx"):
        found = builder_of(Conduct("private", reference=policy))(at)
        assert same(found.honest, found.adversary)
        assert mean(found.honest) < fresh
        never = Conduct("private", reference=policy, reference_window=0)
        assert mean(builder_of(never)(at).honest) == fresh


@pytest.mark.parametrize(
    ("conduct", "told"),
    [
        (Conduct(reference="most_accurate"), "known are fresh, latest_mtx, tip_model"),
        (
            Conduct("cross_slot_new", reference="tip_model"),
            "on provers with protocol.reference = tip_model: its law is not known",
        ),
    ],
)
def test_what_has_no_known_law_is_refused_with_a_way_out(conduct, told):
    with pytest.raises(Refused, match=told):
        builder_of(conduct)


def test_an_unknown_attack_is_named_with_those_that_are_known():
    with pytest.raises(ValueError, match=r"one of honest, private, .* got 'reset'"):
        builder_of(Conduct("reset"))


@pytest.mark.parametrize("attack", LAWS)
def test_what_an_attack_needs_is_what_it_is_refused_without(attack):
    conduct = Conduct(attack, **OPEN)
    at = setting_of()
    if "mtx" in conduct.needs():
        with pytest.raises(Refused, match="branch real trainings"):
            builder_of(conduct)(at)
        at = at._replace(mtx=WARM)
    assert builder_of(conduct)(at).name == attack
