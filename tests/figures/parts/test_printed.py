"""Numbers as a paper prints them: digits, intervals outwards, text that compiles."""

import math
import re
from decimal import Decimal

import pytest
from dpodl.figures.parts.printed import (
    latex_number,
    latex_table,
    latex_text,
    markdown_table,
    printed,
)
from hypothesis import given, settings, strategies as st

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("given_", "shown"),
    [
        ((0.12345, 0.1201, 0.127), ("0.1234", "[0.1201, 0.1270]")),
        ((67.3, 46.2, 96.9), ("67", "[46, 97]")),
        ((123456.7, 123000.0, 124000.4), ("123460", "[123000, 124010]")),
        ((12345678.0, 12345000.0, 12346000.0), ("1.234568e+07", None)),
        ((2.5e-7, 2.44e-7, 2.61e-7), ("2.500e-07", "[2.440e-07, 2.610e-07]")),
        # Over several orders each number keeps two digits.
        ((1e-9, 1e-12, 1e-6), ("1.0e-09", "[1.0e-12, 1.00e-06]")),
        ((0.0, 0.0, 0.0012345), ("0", "[0, 0.00124]")),
        ((-0.5, -0.61, -0.4), ("-0.50", "[-0.61, -0.40]")),
        # Whole numbers are such.
        ((106.0, 57.0, 196.0), ("106", "[57, 196]")),
        (
            (1e7, 9999990.0, 1e7 + 10),
            ("1.0000000e+07", "[9.999990e+06, 1.0000010e+07]"),
        ),
        ((INF, 3.0, INF), ("∞", "[3, ∞]")),
        ((0.5, -1.5, INF), ("0.50", "[-1.50, ∞]")),
        # Exact, without an interval, refused.
        ((1 / 3, 1 / 3, 1 / 3), ("0.333333", "")),
        ((2.0**-40, NAN, NAN), ("9.09495e-13", "")),
        ((5.0, 5.0, 5.0), ("5", "")),
        ((NAN, NAN, NAN), ("–", "")),
    ],
)
def test_a_number_is_printed_as_far_as_it_is_known(given_, shown):
    found = printed(*given_)
    assert found.value == shown[0]
    assert shown[1] is None or found.interval == shown[1]


def ends(text: str) -> tuple[float, ...]:
    return tuple(
        float(each.replace("−∞", "-inf").replace("∞", "inf"))
        for each in text.strip("[]").split(", ")
    )


sized = st.floats(1e-12, 1e12) | st.floats(-1e6, -1e-12) | st.just(0.0)


@settings(max_examples=300, deadline=None)
@given(sized, st.floats(1e-6, 10), st.floats(1e-6, 10))
def test_what_is_printed_covers_what_was_found(value, below, above):
    size = abs(value) or 1.0
    low, high = value - below * size, value + above * size
    shown = printed(value, low, high)
    least, most = ends(shown.interval)
    assert least <= low < high <= most
    assert least <= float(shown.value) <= most
    # At most a tenth of the width is given away, and where a number is small beside
    # it a tenth of itself: two digits each.
    width = high - low
    assert low - least <= max(0.1 * width, 0.1 * abs(low)) + 1e-300
    assert most - high <= max(0.1 * width, 0.1 * abs(high)) + 1e-300
    # No digit is printed that the width does not know, but for the two of each.
    place = int(Decimal(shown.value).as_tuple().exponent)
    own = Decimal(repr(value)).adjusted() - 1 if value else 0
    assert place >= min(Decimal(repr(width / 2)).adjusted() - 1, own, 0)


def test_a_table_of_latex():
    text = latex_table(
        ["setting & so", "value"],
        [["[a_b] 50%", "1.0e-09"], ["β ≥ 2^-128", "∞"]],
        numbers=(1,),
        comments=["made by\nthis"],
        notes=["100 % of $"],
    )
    assert text == (
        "% \\usepackage of booktabs is needed.\n% made by this\n"
        "\\begin{tabular}{lr}\n\\toprule\nsetting \\& so & value \\\\\n\\midrule\n"
        "{}[a\\_b] 50\\% & $1.0 \\times 10^{-9}$ \\\\\n"
        "$\\beta$ $\\geq$ $2^{-128}$ & $\\infty$ \\\\\n"
        "\\bottomrule\n\\end{tabular}\n"
        "\n\\par\\noindent{\\footnotesize 100 \\% of \\$}\n"
    )


def test_a_long_table_goes_over_pages():
    text = latex_table(["n"], [[str(i)] for i in range(46)], numbers=(0,))
    assert text.startswith("% \\usepackage of booktabs and longtable")
    assert text.count("longtable}") == 2
    # Its rules are in the head and foot of each page.
    assert text.count("\\bottomrule") == text.count("\\endfoot") == 1
    assert text.index("\\endfoot") < text.index("\n0 ")


@given(st.text(max_size=30))
def test_no_text_breaks_latex(text):
    """What is left of markup is balanced, ASCII letters stay, nothing is active."""
    found = latex_text(text)
    assert not re.search(r"(?<!\\)[&%#_]", found)
    assert found.count("$") % 2 == found.count(r"\$") % 2
    bare = found.replace(r"\{", "").replace(r"\}", "")
    assert bare.count("{") == bare.count("}")
    assert "\n" not in found
    assert all(each.isascii() or "¡" <= each <= "ž" for each in found)


def test_powers_are_set_as_such():
    assert latex_text("t_2 = 2^254") == "t\\_2 = $2^{254}$"
    assert latex_text("risk 1e-09") == "risk $10^{-9}$"
    assert latex_text("x1e-09 a^2") == "x1e-09 a\\textasciicircum{}2"
    assert latex_number("[1.0e-12, -3.1]") == "[$1.0 \\times 10^{-12}$, $-$3.1]"


def test_a_table_of_markdown():
    text = markdown_table(["a|b", "v"], [["x_y", "1"]], numbers=(1,), notes=["*n*"])
    assert text == "| a\\|b | v |\n| --- | --: |\n| x\\_y | 1 |\n\n\\*n\\*\n"
