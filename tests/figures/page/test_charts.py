"""Specifications against Vega-Lite's own schema, and against what they must say."""

import json
from importlib import resources
from typing import Any

import numpy as np
import pytest
from dpodl.figures.page.charts import (
    CONFIG,
    colour_channel,
    heat_map,
    line_chart,
    map_channel,
    scatter_map,
)
from dpodl.figures.page.scales import axis, placed, placing, spread
from jsonschema import Draft7Validator

KINDS = ("estimate", "dots", "band", "spread", "line", "reference")
NAMES = [(f"a {kind}", kind) for kind in KINDS]


@pytest.fixture(scope="module")
def schema() -> Draft7Validator:
    folder = resources.files("altair.vegalite.v6.schema")
    text = (folder / "vega-lite-schema.json").read_text(encoding="utf-8")
    return Draft7Validator(json.loads(text))


def maps(draw: Any, scale: str, on_map: str) -> dict:
    return draw(
        map_channel("x", "β", on_map, ["0.1", "0.2"]),
        map_channel("y", "p₂", on_map, ["2⁻¹", "2⁻²"]),
        colour_channel("blocks", scale, (0.1, 0.9)),
        scale,
    )


@pytest.mark.parametrize(
    ("x", "y"),
    [("linear", "log"), ("log", "logit"), ("log2", "accuracy"), ("text", "linear")],
)
def test_line_charts_are_what_vega_lite_reads(schema, x, y):
    texts = {0.0: "first", 1.0: "second"} if x == "text" else None
    spec = line_chart(NAMES, ("k", x), ("probability", y), texts)
    schema.validate(spec | {"config": CONFIG})


@pytest.mark.parametrize("scale", ["linear", "log", "logit"])
def test_maps_are_what_vega_lite_reads(schema, scale):
    schema.validate(maps(heat_map, scale, "text"))
    schema.validate(maps(scatter_map, scale, "log2"))


def test_the_schema_refuses_what_is_none(schema):
    spec = maps(heat_map, "log", "text")
    spec["layer"][0]["mark"]["type"] = "rectangle"
    assert not schema.is_valid(spec)


def test_charts_carry_no_data_and_load_none():
    for spec in (
        line_chart(NAMES, ("k", "linear"), ("p", "log")),
        maps(heat_map, "log", "text"),
    ):
        assert spec["data"] == {"name": "rows"}
        assert "url" not in json.dumps(spec)


def test_series_are_told_apart_without_colour():
    many = [(f"s{i}", "estimate") for i in range(7)]
    many += [(f"r{i}", "reference") for i in range(6)]
    lines, marks = (
        line_chart(many, ("k", "linear"), ("p", "log"))["layer"][i]["encoding"]
        for i in (2, 4)
    )
    shapes = marks["shape"]["scale"]["range"]
    dashes = [tuple(each) for each in lines["strokeDash"]["scale"]["range"]]
    looks = list(zip(shapes, dashes, strict=True))
    assert len(set(looks)) == len(looks)
    assert shapes[7:] == ["stroke"] * 6
    assert set(dashes[:7]) == {(1, 0)}


def test_legends_of_one_series_are_left_out():
    one = line_chart([("a", "band")], ("k", "linear"), ("p", "log"))
    two = line_chart([("a", "band"), ("b", "band")], ("k", "linear"), ("p", "log"))
    legends = [s["layer"][2]["encoding"]["color"]["legend"] for s in (one, two)]
    assert legends[0] is None
    assert legends[1]["orient"] == "top"


def test_an_axis_starts_below_and_ends_above():
    channel = map_channel("y", "p₂", "text", ["a", "b"])
    # Vega counts rows downwards.
    assert channel["scale"]["domain"] == ["b", "a"]
    assert map_channel("x", "β", "text", ["a", "b"])["scale"]["domain"] == ["a", "b"]


def test_names_of_places_are_the_axis():
    named = axis("x", "kind", "text", {0: "dl", 1: "pow"})
    assert named["scale"]["domain"] == ["dl", "pow"]


def test_places_of_a_scale():
    values = np.array([0.0, 0.1, 0.5, 1.0, np.inf])
    np.testing.assert_allclose(
        placed("logit", values), [np.nan, -np.log(9), 0, np.nan, np.nan], atol=1e-12
    )
    np.testing.assert_array_equal(placed("log", values), [np.nan, 0.1, 0.5, 1, np.nan])
    np.testing.assert_array_equal(placed("linear", values)[:4], values[:4])
    assert np.isnan(placed("linear", values)[4])


def test_every_row_is_given_its_place_and_its_ends():
    for scale in ("linear", "log", "log2", "logit", "accuracy"):
        made = {step["as"] for step in placing(scale) if "as" in step}
        assert {"y", "lo", "hi", "limit"} <= made


def test_an_axis_is_log_from_a_factor_of_twenty_on():
    assert spread([1, 5, 20]) == "log"
    assert spread([1, 19.9]) == spread([0, 100]) == "linear"
