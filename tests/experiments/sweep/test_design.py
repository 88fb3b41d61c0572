"""Which points a sweep has: every way to write values, right and wrong."""

import math
from itertools import product

import numpy as np
import pytest
from dpodl.experiments.config.experiment import Config
from dpodl.experiments.config.hash_targets import parse_target
from dpodl.experiments.config.loading import load_config, parse_config
from dpodl.experiments.config.section import ConfigError
from dpodl.experiments.sweep.design import Design, design_of, frozen, sweep_digest
from hypothesis import given, strategies as st

SMOKE = load_config("smoke")
SPREAD = ("sobol", "halton", "latin")


def made(over: dict, design: str | None = None, points: int | None = None) -> Design:
    return design_of(frozen(SMOKE, over=over, design=design, points=points))


def values(path: str, given: object) -> list:
    return [row[0] for row in made({path: given}).rows]


def refusal(over: dict, design: str | None = None, points: int | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        made(over, design, points)
    return str(caught.value)


# ------------------------------------------------------------------ values


@pytest.mark.parametrize(
    ("path", "given", "expected"),
    [
        ("scheme.t_acc", "0.90:0.98:0.01", [0.9, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96,
                                            0.97, 0.98]),
        ("scheme.t_acc", "0.3:0.1:-0.1", [0.3, 0.2, 0.1]),
        ("scheme.t_acc", "0.1:0.45:0.1", [0.1, 0.2, 0.3, 0.4]),
        ("scheme.t_acc", " 0.5 , 0.25 ", [0.5, 0.25]),
        ("scheme.t_acc", "0.5", [0.5]),
        ("scheme.t_acc", 0.5, [0.5]),
        ("scheme.t_acc", np.array([0.5, 0.75]), [0.5, 0.75]),
        ("scheme.t_acc", (np.float64(0.5),), [0.5]),
        ("scheme.p_2", "0.01:1:log5", [0.01, 0.0316227766017, 0.1, 0.316227766017, 1]),
        ("scheme.p_1", "0.5:1:lin3", [0.5, 0.75, 1]),
        ("scheme.t_2", "2^250,2^252,7", ["2^250", "2^252", "7"]),
        ("scheme.t_2", "2^250:2^256:log4", ["2^250", "2^252", "2^254", "2^256"]),
        ("scheme.t_2", "0:2^256:lin3", ["0", "2^255", "2^256"]),
        ("scheme.t_2", [1 << 255], ["2^255"]),
        ("protocol.retry", "continue,restart", ["continue", "restart"]),
        ("protocol.abandon_steps", "120:360:120", [120, 240, 360]),
        ("protocol.abandon_steps", "never,horizon,12", ["never", "horizon", 12]),
        ("network.provers", "4:12:4", [4, 8, 12]),
        ("network.provers", "4:400:log3", [4, 40, 400]),
        ("network.provers", "4:6:lin9", [4, 5, 6]),
        ("network.provers", range(4, 13, 4), [4, 8, 12]),
        ("network.delay_steps", "0,5", [0.0, 5.0]),
        ("seed", "1:3:1", [1, 2, 3]),
        ("menu.batch_sizes", "[32],[32, 64]", [[32], [32, 64]]),
        ("menu.architectures", [["softmax"], ["mlp-8"]], [["softmax"], ["mlp-8"]]),
        ("data.path", "a:b:c,x..y", ["a:b:c", "x..y"]),
        ("clock.step_seconds.softmax/32", "1e-3,1e-4", [1e-3, 1e-4]),
        ("scheme.published.source", "a,b", ["a", "b"]),
    ],
)  # fmt: skip
def test_values(path, given, expected):
    assert values(path, given) == expected


def test_tables_are_values_too():
    tables = [{"architectures": ["softmax"]}, {"architectures": ["mlp-8"]}]
    for values_given in (
        tables,
        '{architectures=["softmax"]},{architectures=["mlp-8"]}',
    ):
        settings = list(made({"menu": values_given}).settings())
        assert [c.menu.architectures for c in settings if isinstance(c, Config)] == [
            ("softmax",),
            ("mlp-8",),
        ]


@pytest.mark.parametrize(
    ("path", "given", "told"),
    [
        ("scheme.t_5", "1", "no such setting 't_5'; there are t_acc, t_1"),
        ("schema.t_acc", "1", "settings of seed, data, menu"),
        ("", "1", "settings of seed"),
        ("scheme..t_acc", "1", "no such setting ''"),
        ("scheme.t_acc.x", "1", "'x' is not a table's entry"),
        ("menu.optimizers.0.name", "sgd", "sweep the whole of it"),
        ("mining.blocks", "3", "no figure depends on it"),
        ("name", "a,b", "no figure depends on it"),
        ("sweep.shard", "3", "no figure depends on it"),
        ("comparisons", "[]", "no figure depends on it"),
        ("scheme.t_acc", "", "no values"),
        ("scheme.t_acc", [], "no values"),
        ("scheme.t_acc", "0.5,1.5", "less than or equal to 1 (got 1.5)"),
        ("scheme.t_acc", "x", "valid number (got 'x')"),
        ("scheme.t_acc", [math.nan], "finite number"),
        ("scheme.t_acc", "true", "valid number"),
        ("scheme.t_acc", "0.5,,0.6", "(got '')"),
        ("scheme.t_acc", "0.5,0.6,0.5", "more than once: 0.5"),
        ("scheme.t_acc", "0.5..0.9", "low..high is for the designs sobol"),
        ("scheme.t_acc", "0.5:0.9:0", "the step must lead"),
        ("scheme.t_acc", "0.5:0.9:-0.1", "the step must lead"),
        ("scheme.t_acc", "0.1:0.9:1e-9", "at most 100000 values"),
        ("scheme.t_acc", "0.1:0.9:1e-320", "at most 100000 values"),
        ("scheme.t_acc", "0.1:1e999:1", "must be finite"),
        ("scheme.t_acc", "nan:1:1", "must be finite"),
        ("scheme.t_acc", "a:b:c", "must be a number, got 'a'"),
        ("scheme.t_acc", "0:1:log5", "must be above 0"),
        ("scheme.t_acc", "0.1:1:log1", "take 2 to 100000, got 1"),
        ("scheme.t_acc", "0.1:1:log999999", "take 2 to 100000"),
        ("scheme.t_acc", "0.5\nx=1", "must be one line"),
        ("scheme.t_2", "2^250:2^256:2", "targets take 2^250:2^256:log4"),
        ("scheme.t_2", "2^999", "[0, 2^256]"),
        ("scheme.t_2", "2^250:2^999:log4", "[0, 2^256]"),
        ("scheme.p_2", "0", "a probability lies in"),
        ("scheme.p_2", "true", "must be a number"),
        ("network.provers", "2.5", "valid integer"),
        ("network.provers", "1:4:0.5", "whole number, got '0.5'"),
        ("network.provers", "0:1000000000:1", "at most 100000 values"),
        ("menu", "{architectures=['nonsense']}", "nonsense"),
        ("menu.batch_sizes", "[0]", "greater than or equal to 1"),
        ("protocol.retry", "never", "'continue' or 'restart'"),
    ],
)
def test_what_is_wrong_with_an_axis(path, given, told):
    message = refusal({path: given})
    assert f"--over {path}: " in message
    assert told in message


def test_everything_that_is_wrong_is_told_at_once():
    message = refusal(
        {
            "scheme.t_acc": "1.5,x",
            "nowhere": "1",
            "network.provers": "1:2:0",
            "scheme.p_2": "0.5",
            "scheme.t_2": "2^250",
        }
    )
    for told in ("got 1.5", "got 'x'", "nowhere: unknown", "network.provers: the step"):
        assert told in message
    assert "--over scheme.p_2 and --over scheme.t_2 set the same thing" in message


def test_very_many_problems_are_cut():
    message = refusal({"scheme.t_acc": [2.0 + i for i in range(1000)], "seed": "-1"})
    assert len(message) < 3000
    assert "--over seed" in message


@pytest.mark.parametrize(
    ("one", "other"),
    [("menu", "menu.batch_sizes"), ("scheme.p_1", "scheme.t_1"),
     ("scheme", "scheme.t_acc")],
)  # fmt: skip
def test_two_axes_of_one_thing(one, other):
    assert "set the same thing" in refusal({one: [1], other: [1]})


# ------------------------------------------------------------------ designs


def test_a_grid_is_the_product_in_the_order_of_its_axes():
    design = made({"network.delay_steps": "1,2", "scheme.t_acc": "0.3,0.4,0.5"})
    assert list(design.rows) == list(product([1.0, 2.0], [0.3, 0.4, 0.5]))
    assert design.label(4) == "point 4 (network.delay_steps=2, scheme.t_acc=0.4)"


def test_a_list_has_its_values_side_by_side():
    over = {"network.provers": "4,8,4", "network.beta": "0.25,0.5,0"}
    assert list(made(over, "list").rows) == [(4, 0.25), (8, 0.5), (4, 0.0)]
    over["network.beta"] = "0.25"
    message = refusal(over, "list")
    assert "network.provers has 3, network.beta has 1" in message


RANGES = {
    "scheme.t_acc": "0.5..0.9",
    "scheme.p_2": "0.001..1:log",
    "scheme.t_1": "2^240..2^250:log",
    "network.provers": "4..64:log",
    "protocol.retry": "continue,restart",
}


@pytest.mark.parametrize("design", SPREAD)
def test_ranges_are_filled_evenly(design):
    found = made(RANGES, design, 64)
    assert len(set(found.rows)) == 64
    t_acc, p_2, t_1, provers, retry = zip(*found.rows, strict=True)
    assert all(isinstance(n, int) and 4 <= n <= 64 for n in provers)
    exponents = [math.log2(parse_target(t)) for t in t_1]
    for places in (
        (np.array(t_acc) - 0.5) / 0.4,
        1 + np.log10(p_2) / 3,
        (np.array(exponents) - 240) / 10,
    ):
        # Each eighth has its share of 8, up to what such designs may be off.
        counts = np.histogram(places, 8, (0, 1))[0]
        assert counts.sum() == 64
        assert abs(counts - 8).max() <= 3
    assert 24 <= retry.count("continue") <= 40
    # Half of the numbers lie below the middle of the logarithm.
    assert 24 <= sum(n < 16 for n in provers) <= 40


@pytest.mark.parametrize("design", SPREAD)
def test_designs_are_those_of_their_seed(design):
    over = {"scheme.t_acc": "0.5..0.9", "scheme.p_2": "0.1..1"}
    first = made(over, design, 20).rows
    assert made(over, design, 20).rows == first
    other = frozen(
        load_config("smoke", ["seed=1"]), over=over, design=design, points=20
    )
    assert design_of(other).rows != first
    if design != "latin":
        assert made(over, design, 33).rows[:20] == first


@pytest.mark.parametrize(
    ("design", "points", "told"),
    [("sobol", None, "needs --points N"), ("halton", 10**7, "at most 1000000"),
     ("grid", 3, "--points is for"), ("list", 3, "--points is for"),
     ("latin", 0, "sweep.points")],
)  # fmt: skip
def test_the_number_of_points(design, points, told):
    spread = design in SPREAD
    over = {"scheme.t_acc": "0.5..0.9" if spread else "0.5"}
    assert told in refusal(over, design, points)


@pytest.mark.parametrize(
    ("given", "told"),
    [("0.9..0.5", "low must be below high"), ("0..1:log", "above 0"),
     ("0.5..2", "less than or equal to 1"), ("a..b", "must be a number"),
     ("0.5..0.5", "low must be below high")],
)  # fmt: skip
def test_ranges_that_are_none(given, told):
    over = {"network.beta" if given == "0..1:log" else "scheme.t_acc": given}
    if given == "0..1:log":
        over = {"network.delay_steps": given}
    assert told in refusal(over, "sobol", 4)


def test_a_grid_that_is_too_large_is_refused_before_it_is_made():
    over = dict.fromkeys(
        ("scheme.t_acc", "scheme.p_1", "scheme.p_2", "security.epsilon"),
        "0.001:0.999:0.001",
    )
    assert "999 × 999 × 999 × 999 points; at most 1000000" in refusal(over)


def test_nothing_that_changes():
    assert "nothing changes" in refusal({})


# ------------------------------------------------------------------ configs


def test_a_points_config_is_the_base_with_its_values():
    over = {"scheme.p_2": "0.5,1", "network.delay_steps": "3"}
    config = frozen(SMOKE, over=over)
    for p_2, found in zip((0.5, 1.0), design_of(config).settings(), strict=True):
        assert isinstance(found, Config)
        assert (found.scheme.p_2, found.network.delay_steps) == (p_2, 3)
        assert found.scheme.t_acc == SMOKE.scheme.t_acc
        assert found.menu is config.menu
        assert (found.security.replicas, found.security.bootstraps) == (512, 6)
        assert found.security.levels == SMOKE.security.levels
        by_hand = load_config(
            "smoke",
            ["security.replicas=512", "security.good_period_replicas=128",
             "security.bootstraps=6", "security.bootstrap_replicas=100",
             f"scheme.p_2={p_2}", "network.delay_steps=3"],
        )  # fmt: skip
        assert found.point_digest() == by_hand.point_digest()


def test_settings_that_do_not_go_together_are_told_point_by_point():
    found = list(made({"network.provers": "4,5,8"}).settings())
    assert isinstance(found[0], Config)
    assert isinstance(found[2], Config)
    assert "with 5 provers the nearest betas are 0.2 and 0.4, got 0.25" in str(found[1])


def test_a_number_too_large_for_anything_is_no_traceback():
    (found,) = made({"network.provers": "1" + "0" * 400}).settings()
    assert found == "a whole number is too large to be computed with"


@pytest.mark.parametrize(
    "change",
    ["name=other", "description=x", "mining.blocks=3", "comparisons=[]",
     "sweep.shard=3", "sweep.over={seed=[1]}"],
)  # fmt: skip
def test_what_no_point_depends_on(change):
    other = load_config("smoke", [change])
    assert other.point_digest() == SMOKE.point_digest()
    assert (other.digest() == SMOKE.digest()) == change.startswith(("mining", "sweep"))


def test_the_effort_is_the_sweeps_unless_the_setting_is_kept():
    config = load_config("smoke", ["security.replicas=300", "sweep.bootstraps=9"])
    over = {"scheme.t_acc": [0.5]}
    ours = frozen(config, over=over).security
    assert (ours.replicas, ours.bootstraps) == (512, 9)
    kept = frozen(config, over=over, kept=["security.replicas"])
    assert (kept.security.replicas, kept.sweep.replicas) == (300, 300)
    (swept,) = made({"security.replicas": [700]}).settings()
    assert isinstance(swept, Config)
    assert swept.security.replicas == 700


def test_a_frozen_sweep_reads_back_equal_with_its_axes_in_order():
    over = {
        "seed": "1,2",
        "menu": [{"architectures": ["softmax"]}],
        "scheme.t_acc": [0.5, 0.6],
        "menu.x": "a",
    }
    config = frozen(SMOKE, over=over)
    again = parse_config(config.to_toml(), "sweep.toml")
    assert again == config
    assert list(again.sweep.over) == list(over)
    assert sweep_digest(again) == sweep_digest(config)
    assert frozen(again) == again


def test_the_order_of_axes_is_part_of_a_sweep_and_its_shards_are_not():
    one = frozen(SMOKE, over={"seed": "1,2", "scheme.t_acc": "0.5"})
    other = frozen(SMOKE, over={"scheme.t_acc": "0.5", "seed": "1,2"})
    assert sweep_digest(one) != sweep_digest(other)
    coarse = load_config("smoke", ["sweep.shard=1", "mining.blocks=3"])
    assert sweep_digest(frozen(coarse, over=one.sweep.over)) == sweep_digest(one)


@pytest.mark.parametrize(
    "text",
    ['over = {scheme.t_acc = "0.5,0.6", seed = [1]}',
     'over = {"scheme.t_acc" = "0.5,0.6", "seed" = [1]}',
     '[sweep.over.scheme]\nt_acc = "0.5,0.6"\n[sweep.over]\nseed = [1]'],
)  # fmt: skip
def test_axes_in_toml(text):
    toml = f'name = "x"\n[sweep]\n{text}\n'
    axes = design_of(frozen(parse_config(toml, "x.toml"))).axes
    assert {a.path: a.values for a in axes} == {
        "scheme.t_acc": (0.5, 0.6),
        "seed": (1,),
    }


def test_over_adds_to_the_configs_axes_and_replaces_them():
    config = load_config("smoke", ['sweep.over={seed="1,2", scheme.t_acc="0.5"}'])
    merged = frozen(config, over={"seed": "3", "scheme.p_2": "0.5"}).sweep.over
    assert merged == {"seed": "3", "scheme.t_acc": "0.5", "scheme.p_2": "0.5"}


@pytest.mark.parametrize("value", ["3", "true", "[1, 2]", "{seed = 3}"])
def test_axes_that_are_no_table_of_values(value):
    with pytest.raises(ConfigError, match=r"sweep\.over"):
        load_config("smoke", [f"sweep.over={value}"])


def test_the_shipped_sweep_is_48_points_of_one_set_of_curves():
    design = design_of(frozen(load_config("sweep")))
    found = list(design.settings())
    assert len(found) == 48
    assert all(isinstance(each, Config) for each in found)
    quickstart = load_config("quickstart")
    for each in found:
        assert isinstance(each, Config)
        for name in ("data", "menu", "training", "seed"):
            assert getattr(each, name) == getattr(quickstart, name)


PATHS = st.sampled_from(
    ["scheme.t_acc", "scheme.t_2", "scheme.p_1", "network.provers", "menu", "seed",
     "data.path", "menu.batch_sizes", "protocol.retry", "clock.step_seconds.a/1"]
) | st.text(max_size=12)  # fmt: skip
TEXTS = st.text("0123456789.:,^[]{}\"'=-+elogin \\#", max_size=30) | st.text(
    max_size=20
)


@given(st.dictionaries(PATHS, TEXTS, min_size=1, max_size=3), st.sampled_from(
    [("grid", None), ("list", None), ("sobol", 5)]))  # fmt: skip
def test_any_text_makes_points_or_a_message(over, design):
    try:
        found = made(over, *design)
    except ConfigError:
        return
    for setting in found.settings(range(min(3, len(found.rows)))):
        assert isinstance(setting, Config | str)


@pytest.mark.parametrize("design", SPREAD)
def test_every_whole_number_of_a_range_has_its_weight(design):
    """Equal ones, or those of 1/k where the range is even in the logarithm."""
    points = 2**13
    over = {"security.levels": "100..104", "network.provers": "2..6:log"}
    rows = made(over, design, points).rows
    even, steep = (np.array(column) for column in zip(*rows, strict=True))
    for value in range(100, 105):
        # A point each side of a cell's ends, and Halton's and Latin's own unevenness.
        assert abs((even == value).sum() - points / 5) < 40
    weights = np.log((np.arange(2, 7) + 0.5) / (np.arange(2, 7) - 0.5))
    weights /= weights.sum()
    for value, weight in zip(range(2, 7), weights, strict=True):
        assert abs((steep == value).sum() - points * weight) < 40
    assert even.min() == 100
    assert even.max() == 104
