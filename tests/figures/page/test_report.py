import base64
import gzip
import hashlib
import html
import json
import math
import re
import shutil
import subprocess
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dpodl.figures import style
from dpodl.figures.page import report
from dpodl.figures.page.sweep import sweep_data

HOSTILE = """</script><img src=x onerror="alert(1)"> 'q' {{data}} ]]>"""
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def asset(name: str) -> str:
    return (resources.files("dpodl.figures.page") / name).read_text(encoding="utf-8")


def payload(page: str) -> dict[str, Any]:
    """The page's data, as its script reads it."""
    found = re.search(
        r'<script type="application/gzip" id="data">([^<]*)</script>', page
    )
    assert found
    return json.loads(gzip.decompress(base64.b64decode(found[1])))


def points(design: pd.DataFrame, *, failed: tuple[int, ...] = ()) -> pd.DataFrame:
    """A sweep's results with invented numbers: three quantities of each point."""
    rows = []
    for place, parameters in enumerate(design.to_dict("records")):
        head = {"point": f"{place:04x}e5", "status": "done", "error": ""} | parameters
        if place in failed:
            rows.append(head | {"status": "failed", "error": HOSTILE})
            continue
        for quantity, at, unit, share in (
            ("stale_rate", math.nan, "", 0.12345678),
            ("persistence_violation", 1.0, "blocks", 0.5),
            ("persistence_violation", 6.0, "blocks", 0.01 * (place + 1)),
            ("persistence_violation", 12.0, "blocks", 0.0),
            ("safe_depth", 2.0**-40, "target", 30.0 + place),
        ):
            rows.append(
                head
                | {"quantity": quantity, "at": at, "at_unit": unit, "value": share}
                | {"low": 0.9 * share, "high": 1.1 * share + 1e-4, "count": 400}
                | {"method": "share", "unit": "probability"}
            )
    return pd.DataFrame(rows)


def grid(betas: int = 3, delays: int = 2) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"p_1": 2.0**-15, "p_2": 2.0**-k, "scheme.t_2": f"2^{256 - k}"}
            | {"network.beta": 0.1 * (b + 1), "network.delay_steps": 10.0 * d}
            for k in (1, 10)
            for b in range(betas)
            for d in range(delays)
        ]
    )


@pytest.fixture
def sweep() -> pd.DataFrame:
    return points(grid(), failed=(4,))


def test_the_page_asks_for_nothing_but_itself(sweep, run_tables):
    for given in ({"points": sweep.assign(error="")}, run_tables):
        page = report.page(given, {"title": "t"})
        shell = re.sub(r"<(script|style)[ >].*?</\1>", "", page, flags=re.S)
        # A digest may hold two slashes.
        shell = re.sub(r"'sha256-[^']*'", "", shell)
        assert not re.search(r"\b(src|href)\s*=\s*[\"']?(?!#)[a-z/]", shell)
        assert not re.search(r"https?:|//[a-z]|@import|url\(|\bimport\b", shell)
        for code in (report.script(), asset("report.css")):
            assert not re.search(
                r"https?:|fetch\(|XMLHttp|@import|url\(\"?h|eval\(", code
            )
        # The library could load; the policy forbids it, and no chart asks for it.
        assert "default-src 'none'" in page
        assert '"url"' not in json.dumps(payload(page))


def test_the_policy_allows_exactly_the_page_s_scripts_and_style(sweep):
    page = report.page({"points": sweep}, {"title": "t"})
    scripts = re.findall(r"<script>(.*?)</script>", page, re.S)
    style_sheet = re.findall(r"<style>(.*?)</style>", page, re.S)
    assert scripts == [asset("vega_charts.js"), report.script()]
    assert len(style_sheet) == 1
    library, own, look = map(report._hash, (*scripts, *style_sheet))
    policy = page.split("</head>")[0]
    assert f"script-src 'sha256-{library}' 'sha256-{own}';" in policy
    assert f"style-src 'sha256-{look}';" in policy
    assert "unsafe" not in policy


def test_the_library_is_the_one_that_its_notice_describes():
    digest = hashlib.sha256(asset("vega_charts.js").encode()).hexdigest()
    notice = asset("VEGA-NOTICE.md")
    assert digest in notice
    for name in ("vega 6", "vega-lite 6", "vega-interpreter 2"):
        assert name in notice
    # Its own script never asks for compiled expressions, which the policy forbids.
    assert "ast: true" in report.script()


class Tags(HTMLParser):
    """What a browser makes of the page: start tags, and the text outside scripts."""

    def __init__(self):
        super().__init__()
        self.tags, self.events, self.text, self.open = [], [], [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.events += [name for name, _ in attrs if name.startswith("on")]
        self.open = tag

    def handle_data(self, data):
        if self.open not in ("script", "style"):
            self.text.append(data)


def test_hostile_texts_stay_texts(sweep):
    facts = {
        "title": HOSTILE,
        "description": HOSTILE,
        "verdict": HOSTILE,
        "sections": [(HOSTILE, (HOSTILE, "b"), [(HOSTILE, HOSTILE)])],
    }
    hostile = sweep.assign(**{f"a{HOSTILE}": HOSTILE, "method": HOSTILE})
    page = report.page({"points": hostile}, facts)
    parsed = Tags()
    parsed.feed(page)
    assert "img" not in parsed.tags
    assert parsed.tags.count("script") == 3
    assert not parsed.events
    # Title, h1, description, verdict, heading, column, two cells, error, parameter.
    assert " ".join(parsed.text).count(HOSTILE) >= 9
    assert payload(page)["title"] == HOSTILE
    assert payload(page)["errors"]["values"] == ["", HOSTILE]
    assert payload(page)["methods"] == [HOSTILE]


def test_the_assets_cannot_end_their_own_elements():
    for code in (report.script(), asset("vega_charts.js")):
        assert "</script" not in code.lower()
        assert "<!--" not in code
    assert "</style" not in asset("report.css").lower()


def test_every_number_of_a_sweep_is_in_the_page(sweep):
    data = payload(report.page({"points": sweep}, {"title": "t"}))
    found = {}
    for series in data["series"]:
        quantity = data["quantities"][series["q"]]["name"]
        index = series["index"] or range(len(data["ids"]))
        for i, point in enumerate(index):
            count = series["count"]
            found[data["ids"][point], quantity, series["at"]] = (
                *(series[name][i] for name in ("value", "low", "high")),
                count if isinstance(count, int | float) else count[i],
            )
    done = sweep.loc[sweep["status"] == "done"].to_dict("records")
    assert len(found) == len(done)
    for row in done:
        at = None if math.isnan(row["at"]) else float(f"{row['at']:.6g}")
        wanted = [row[name] for name in ("value", "low", "high", "count")]
        np.testing.assert_allclose(
            found[row["point"], row["quantity"], at], wanted, rtol=6e-6
        )
    # The design as well, so that the download is the whole table.
    for parameter in data["params"]:
        codes = parameter["codes"] or [0] * len(data["ids"])
        mine = [parameter["values"][code] for code in codes]
        first = sweep.drop_duplicates("point")[parameter["name"]].to_list()
        if isinstance(first[0], str):
            assert mine == first
        else:
            np.testing.assert_allclose(mine, first, rtol=6e-6)


def test_failed_points_keep_their_place_and_their_error(sweep):
    page = report.page({"points": sweep}, {"title": "t"})
    data = payload(page)
    assert data["failed"] == [int(i == 4) for i in range(12)]
    assert data["errors"]["values"][data["errors"]["codes"][4]] == HOSTILE
    assert html.escape(HOSTILE) in page
    assert "0004e5" in page


def test_one_setting_in_two_units_is_one_dimension(sweep):
    data, _ = sweep_data(sweep)
    assert [d["name"] for d in data["dims"]] == [
        "p_2",
        "network.beta",
        "network.delay_steps",
    ]
    first = data["dims"][0]
    assert first["values"] == [2.0**-10, 0.5]
    assert first["texts"] == ["2⁻¹⁰", "2⁻¹"]
    assert first["more"] == [" (t_2 = 2²⁴⁶)", " (t_2 = 2²⁵⁵)"]
    assert first["scale"] == "log2"
    # Two parameters that are one to one by chance stay two.
    diagonal = pd.DataFrame({"network.beta": [0.1, 0.2], "network.delay_steps": [1, 2]})
    assert len(sweep_data(points(diagonal))[0]["dims"]) == 2


def test_nullable_columns_are_read(sweep):
    nullable = sweep.convert_dtypes()
    nullable["seed"] = pd.array([pd.NA, *range(len(sweep) - 1)], "Int64")
    nullable["seed"] = nullable.groupby("point")["seed"].transform("first")
    nullable.loc[nullable["point"] == "0001e5", "seed"] = pd.NA
    nullable.loc[nullable["point"] == "0002e5", "count"] = pd.NA
    data = payload(report.page({"points": nullable}, {"title": "t"}))
    seeds = next(p for p in data["params"] if p["name"] == "seed")
    assert seeds["values"][seeds["codes"][1]] == ""
    assert data["series"][0]["count"][2] is None


def test_an_axis_has_the_scale_on_which_its_values_are_even():
    for values, scale in (
        (np.geomspace(1, 1000, 7), "log"),
        (np.linspace(0.7, 200, 50), "linear"),
        ([0.0, 10.0, 200.0], "linear"),
    ):
        frame = points(pd.DataFrame({"network.delay_steps": values}))
        assert sweep_data(frame)[0]["dims"][0]["scale"] == scale


def test_targets_are_ordered_as_numbers():
    targets = [f"2^{k}" for k in (99, 100, 98)]
    dims = sweep_data(points(pd.DataFrame({"scheme.t_1": targets})))[0]["dims"]
    assert dims[0]["texts"] == ["2⁹⁸", "2⁹⁹", "2¹⁰⁰"]
    assert dims[0]["codes"].tolist() == [1, 2, 0]


def test_a_design_without_a_grid_is_told_from_one_with_holes():
    whole = grid(4, 4)
    assert sweep_data(points(whole))[0]["grid"]
    assert sweep_data(points(whole.iloc[:-3]))[0]["grid"]
    rng = np.random.default_rng(1)
    scattered = pd.DataFrame({"network.beta": rng.random(20), "seed": rng.random(20)})
    assert not sweep_data(points(scattered))[0]["grid"]


def test_a_number_that_is_there_twice_is_refused(sweep):
    with pytest.raises(
        ValueError, match=r"persistence_violation at 6\.0 of point 0000e5"
    ):
        sweep_data(pd.concat([sweep, sweep.iloc[[2]]]))


def test_a_point_with_two_settings_is_refused(sweep):
    changed = sweep.copy()
    changed.loc[1, "network.beta"] = 0.9
    with pytest.raises(ValueError, match=r"points\.network\.beta differs"):
        sweep_data(changed)


@pytest.mark.parametrize("column", ["point", "status", "high", "method"])
def test_a_missing_column_is_named(sweep, column):
    with pytest.raises(ValueError, match=column):
        sweep_data(sweep.drop(columns=column))


def test_an_unknown_status_is_refused(sweep):
    with pytest.raises(ValueError, match=r"done or failed, got \['running'\]"):
        sweep_data(sweep.assign(status="running"))


def test_the_verdict_its_tiers_and_what_it_rests_on_stand_before_the_charts(sweep):
    facts = {
        "title": "t",
        "verdict": "SAFE from 3",
        "tiers_are": "Confirmations <here>",
    }
    facts |= {"tiers": [("against a & b", "25 [22–28]")]}
    facts |= {"rests_on": [("assumption", "equal <provers>")]}
    page = report.page({"points": sweep}, facts)
    order = ("SAFE from 3", "Confirmations &lt;here&gt;", "against a &amp; b")
    order += ("25 [22–28]", "What it rests on", "equal &lt;provers&gt;", 'id="figures"')
    places = [page.index(text) for text in order]
    assert places == sorted(places)
    assert "What it rests on" not in report.page({"points": sweep}, {"title": "t"})


def test_infinite_ends_survive():
    assert json.loads(report._json(np.array([1.5, math.inf, -math.inf]))) == [
        1.5,
        math.inf,
        -math.inf,
    ]
    assert report._json([math.nan, True, None, np.int64(12345678)]) == (
        "[null,true,null,12345678]"
    )


def test_equal_tables_give_equal_pages(sweep):
    one, other = (report.page({"points": sweep}, {"title": "t"}) for _ in range(2))
    assert one == other


def test_a_sweep_of_ten_thousand_points_stays_small():
    rng = np.random.default_rng(0)
    count, depths = 10_000, 12
    share = rng.random((count, depths))
    design = {
        "point": np.array([f"{i:016x}" for i in rng.integers(0, 2**62, count)]),
        "status": "done",
        "error": "",
        "network.beta": np.repeat(np.linspace(0.01, 0.5, 100), 100),
        "network.delay_steps": np.tile(np.arange(100.0), 100),
    }
    design |= {"quantity": "persistence_violation", "at_unit": "blocks"}
    design |= {"count": 20_000, "method": "share", "unit": "probability"}
    parts = [
        pd.DataFrame(design).assign(at=k + 1.0, value=v, low=v * 0.9, high=v * 1.1)
        for k, v in enumerate(share.T)
    ]
    page = report.page({"points": pd.concat(parts, ignore_index=True)}, {"title": "t"})
    # Random digits are the worst case: 20 bits a number, and what separates them.
    library = len(asset("vega_charts.js"))
    assert len(page) < 10_000 * depths * 3 * 5.2 + 2e5 + library
    assert len(page) < 12e6


def notes() -> pd.DataFrame:
    return pd.DataFrame({"kind": ["assumption"], "text": ["equal provers"]})


@pytest.fixture
def run_tables(tables):
    estimates = tables["estimates"].copy()
    for column, filler in (("method", "share"), ("count", 9)):
        if column not in estimates:
            estimates[column] = filler
    at_unit = np.where(estimates["quantity"].str.startswith("good"), "expected ", "")
    estimates["at_unit"] = at_unit + "blocks"
    estimates["unit"] = np.where(estimates["at"].isna(), "steps", "probability")
    return dict(tables) | {"estimates": estimates, "notes": notes()}


def test_a_missing_table_is_named(run_tables):
    del run_tables["laws"]
    with pytest.raises(ValueError, match="'laws'"):
        report.page(run_tables, {"title": "t"})


def test_series_have_the_colours_of_the_figures():
    light = asset("report.css").partition("@media")[0]
    found = dict(re.findall(r"--s(\d): (#[0-9a-f]{6})", light))
    assert [found[str(i)] for i in range(7)] == [look.color for look in style.LOOKS]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_texts_stand_out_from_the_page(theme):
    light, dark = asset("report.css").split("@media", 1)
    found = dict(
        re.findall(
            r"--(\w+): (#[0-9a-f]{6})",
            light if theme == "light" else dark.partition("* {")[0],
        )
    )
    for name in ("ink", "soft", "focus"):
        for back in ("page", "faint", "note"):
            if (name, back) not in {("soft", "note"), ("focus", "note")}:
                # WCAG 2.2, 1.4.3.
                assert _contrast(found[name], found[back]) >= 4.5, (name, back)


def _contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(
            channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
        )
        return float(linear @ [0.2126, 0.7152, 0.0722])

    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_draws_the_selected_point(sweep, run_tables, tmp_path):
    def dom(page: str, view: str = "") -> str:
        path = tmp_path / "page.html"
        path.write_text(page, encoding="utf-8")
        command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu"]
        command += [f"--user-data-dir={Path(tmp_path) / 'profile'}", "--dump-dom"]
        command += ["--virtual-time-budget=8000", "--enable-logging=stderr"]
        done = subprocess.run(
            [*command, f"{path.as_uri()}{view}"],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        # Neither the policy nor the library has anything to complain of.
        assert "CONSOLE" not in done.stderr
        return done.stdout

    page = report.page({"points": sweep}, {"title": HOSTILE})
    view = "#quantity=persistence_violation&at=6&x=network.beta&y=p_2"
    chosen = f"{view}&i.p_2=1&i.network.beta=1&i.network.delay_steps=1"
    seen = dom(page, chosen)
    assert 'data-ready="sweep"' in seen
    # The fourth point of the grid: p_2 = 2^-1, β = 0.2, Δ = 10.
    assert "p₂ = 2⁻¹ (t_2 = 2²⁵⁵), β = 0.2, Δ = 10" in seen
    assert "0.04 [95 %: 0.036 … 0.0441], n = 400 (share)" in seen
    failed = f"{view}&i.p_2=1&i.network.beta=2&i.network.delay_steps=0"
    assert "This point failed: " in dom(page, failed)
    assert "<img" not in seen
    # A cell for each of 3 × 2 points, and the two outlines of the selected one.
    cells = re.findall(r'<g class="mark-rect role-mark[^>]*>(.*?)</g>', seen)
    assert sum(cell.count("<path") for cell in cells) == 8
    seen = dom(report.page(run_tables, {"title": "t"}))
    assert 'data-ready="run"' in seen
    assert seen.count('class="marks"') == 4


def test_a_law_that_is_of_no_curves_has_a_page_without_them(run_tables):
    def titles(tables):
        charts = payload(report.page(tables, {"title": "t"}))["charts"]
        return [chart["title"] for chart in charts]

    empty = run_tables | {"curves": run_tables["curves"].iloc[:0]}
    gone = set(titles(run_tables)) - set(titles(empty))
    assert gone == {"Learning curves"}
    without = {name: t for name, t in run_tables.items() if name != "curves"}
    with pytest.raises(ValueError, match="table 'curves' is missing"):
        report.page(without, {"title": "t"})
