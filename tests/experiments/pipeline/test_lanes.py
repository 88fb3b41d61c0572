"""Which number of lanes is printed: what was timed decides, and nothing else."""

import jax
import pytest
from click.testing import CliRunner
from dpodl.experiments.cli import main
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.pipeline import lanes
from dpodl.experiments.pipeline.lanes import LaneRate, best_lanes, measure_lanes
from dpodl.models.learning.curves import CurveSettings

SETTINGS = CurveSettings(check_every=10, horizon_steps=100, eval_samples=100)


def silent(what: str, done: int, total: int) -> None:
    """No progress reports."""


def timed(monkeypatch, seconds):
    """Times that are made up: by lanes and the hyper-parameters."""
    calls = []

    def fake(hpp, data, settings):
        calls.append((settings.lanes, hpp))
        return seconds(settings.lanes, hpp)

    monkeypatch.setattr(lanes, "_seconds", fake)
    return calls


def measured(*widths: int):
    config = load_config("smoke")
    return measure_lanes(config, None, SETTINGS, silent, lanes=widths)  # pyright: ignore


@pytest.mark.parametrize(
    ("rates", "best"),
    [
        ({1: 100.0, 2: 104.0, 4: 90.0}, 1),  # not worth other bits
        ({1: 100.0, 2: 150.0, 4: 156.0}, 2),
        ({1: 100.0, 16: 900.0, 64: 0.0}, 16),  # no room
    ],
)
def test_the_smallest_that_is_worth_it(rates, best):
    assert best_lanes([LaneRate(n, rate, {}) for n, rate in rates.items()]) == best


def test_a_rate_is_the_menus_mean_by_its_shares(monkeypatch):
    def seconds(width, hpp):
        return (0.5 if hpp.architecture == "softmax" else 0.25) / width

    calls = timed(monkeypatch, seconds)
    found = measured(1, 4)
    shares = load_config("smoke").menu.build().settings()
    mean = sum(p * seconds(1, hpp) for hpp, p in shares.items())
    assert [each.lanes for each in found] == [1, 4]
    assert found[0].rate == pytest.approx(1 / mean)
    assert found[1].rate == pytest.approx(4 / mean)
    assert found[0].seconds == {"softmax/32": 0.5, "mlp-8/32": 0.25}
    # Two architectures, and a program a rule; sgd is the heavy ball's.
    assert len(calls) == len(set(calls)) == 2 * len(found) * 3


def test_the_search_ends_at_half_the_best_rate_and_at_the_memorys_end(monkeypatch):
    timed(monkeypatch, lambda width, hpp: 1.0 if width < 4 else 2.1)
    assert [each.lanes for each in measured(1, 2, 4, 8)] == [1, 2, 4]

    def full(width, hpp):
        if width > 2:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
        return 1.0 / width

    timed(monkeypatch, full)
    found = measured(1, 2, 4, 8)
    assert [each.rate > 0 for each in found] == [True, True, False]

    def broken(width, hpp):
        raise jax.errors.JaxRuntimeError("INTERNAL: of the driver")

    timed(monkeypatch, broken)
    with pytest.raises(jax.errors.JaxRuntimeError, match="of the driver"):
        measured(1)


def test_the_line_that_is_printed_is_one_of_a_config(tmp_path):
    menu = "menu.architectures=['softmax']"
    rule = "menu.optimizers=[{name='sgd', learning_rates={low=0.1, high=0.1, count=1}}]"
    words = [w for each in (menu, rule, "data.examples=600") for w in ("--set", each)]
    words += ["--set", "training.eval_samples=200", "--lanes", "2,1", "--quiet"]
    result = CliRunner().invoke(main, ["calibrate", "smoke", *words])
    assert result.exit_code == 0, result.output
    *rates, section, line = result.output.splitlines()
    assert [row.split()[:2] for row in rates[1:]] == [["1", "lanes"], ["2", "lanes"]]
    assert section == "[training]"
    assert line in ("lanes = 1", "lanes = 2")
    chosen = load_config("smoke", ["training." + line.replace(" ", "")])
    assert chosen.training.lanes in (1, 2)


@pytest.mark.parametrize("given", ["0", "1,x", "-1", "1.5", ""])
def test_other_numbers_are_refused(given):
    result = CliRunner().invoke(main, ["calibrate", "smoke", "--lanes", given])
    assert result.exit_code == 2
    assert "--lanes takes whole numbers ≥ 1 and commas" in result.output
