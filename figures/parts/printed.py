"""Numbers as a paper prints them, and a table of them as LaTeX or Markdown.

A number is printed as far as its interval knows it: to the second digit of half the
interval's width, whole numbers as they are. Ends are rounded outwards, so that what is
printed covers what was found, and no number has fewer than two digits.
"""

import math
import re
from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import NamedTuple

_EXACT = 6  # digits where there is no interval
_DIGITS = 2
_WHOLE = 10**6
_PLAIN = (-4, 6)  # powers of ten that are written without one

_TEX = {
    **{"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#"},
    **{"_": r"\_", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}"},
    **{"^": r"\textasciicircum{}", "<": "$<$", ">": "$>$", "|": "$|$"},
    **{"α": r"$\alpha$", "β": r"$\beta$", "γ": r"$\gamma$", "δ": r"$\delta$"},
    **{"ε": r"$\varepsilon$", "κ": r"$\kappa$", "λ": r"$\lambda$", "µ": r"$\mu$"},
    **{"μ": r"$\mu$", "ρ": r"$\rho$", "σ": r"$\sigma$", "θ": r"$\theta$"},
    **{"Δ": r"$\Delta$", "∞": r"$\infty$", "≤": r"$\leq$", "≥": r"$\geq$"},
    **{"±": r"$\pm$", "×": r"$\times$", "·": r"$\cdot$", "−": "$-$", "–": "--"},
    **{"—": "---", "…": r"\ldots{}", "→": r"$\rightarrow$", "∈": r"$\in$"},
    **{"½": r"$\frac{1}{2}$", "¼": r"$\frac{1}{4}$", "²": "$^2$", "’": "'"},
    **{"≈": r"$\approx$", "⌊": r"$\lfloor$", "⌋": r"$\rfloor$", '"': "''"},
    **{"\n": " ", "\r": " ", "\t": " "},
}
_SCIENTIFIC = re.compile(r"(-?[\d.]+)e([+-]\d+)")
# 2^-128 and 1e-09 where they stand alone in a text.
_POWERS = re.compile(r"(?<![\w.^-])(\d+\^-?\d+|\d(?:\.\d+)?e[+-]\d+)(?![\w^])")


class Printed(NamedTuple):
    """A number and its interval, as text with ``1.2e-09`` for small ones.

    Attributes:
        value: The number; "–" where there is none.
        interval: "[low, high]"; "" where it is exact or there is none.
    """

    value: str
    interval: str


def printed(value: float, low: float, high: float) -> Printed:
    """A number to the digits that its interval allows.

    Args:
        value: The estimate; NaN: none.
        low: Lower end; NaN: none.
        high: Upper end; NaN: none.
    """
    if math.isnan(value):
        return Printed("–", "")
    if not low < high:
        return Printed(_exact(value), "")
    there = [each for each in (value, low, high) if math.isfinite(each)]
    if all(each == round(each) and abs(each) < _WHOLE for each in there):
        place = 0
    elif len(there) == 3:
        place = _place((high - low) / 2, _DIGITS)
    else:  # no width
        place = max(_place(each, _DIGITS + 1) for each in there)
    ends = (_at(low, place, ROUND_FLOOR), _at(high, place, ROUND_CEILING))
    return Printed(_at(value, place, ROUND_HALF_EVEN), f"[{', '.join(ends)}]")


def latex_number(text: str) -> str:
    """What ``printed`` gave, in LaTeX: powers of ten and ∞ in math."""
    text = _SCIENTIFIC.sub(lambda found: _scientific(*found.groups()), text)
    text = re.sub(r"(?<![\w${])-(?=\d)", "$-$", text)
    return text.replace("−∞", r"$-\infty$").replace("∞", r"$\infty$").replace("–", "--")


def _scientific(digits: str, power: str) -> str:
    ahead = "" if digits == "1" else rf"{digits} \times "
    return rf"${ahead}10^{{{int(power)}}}$"


def latex_text(text: str) -> str:
    """Any text, so that LaTeX prints it as it stands; powers in math.

    A character that neither LaTeX's own fonts nor the table here have is written as its
    code point.
    """

    def spelled(character: str) -> str:
        if character in _TEX:
            return _TEX[character]
        if character.isascii():
            return character if character.isprintable() else " "
        known = "\u00a1" <= character <= "\u017e" and character.isalpha()
        return character if known else f"U+{ord(character):04X}"

    parts = _POWERS.split(text)
    for i, part in enumerate(parts):
        base, hat, power = part.partition("^")
        if i % 2 == 0:
            parts[i] = "".join(map(spelled, part))
        elif hat:
            parts[i] = f"${base}^{{{power}}}$"
        else:
            parts[i] = _scientific(*part.split("e"))
    return "".join(parts)


def latex_table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: Sequence[int] = (),
    comments: Sequence[str] = (),
    notes: Sequence[str] = (),
    longest: int = 45,
) -> str:
    """A booktabs table; one of more rows than a page has is a ``longtable``.

    Args:
        head: Headings, plain text.
        rows: Cells; those of ``numbers`` as ``printed`` gives them, others plain text.
        numbers: Columns of numbers, set to the right.
        comments: Lines of the source that are not printed.
        notes: Plain text below the table.
        longest: Rows of a table on one page.
    """
    long = len(rows) > longest
    kind = "longtable" if long else "tabular"
    columns = "".join("r" if i in numbers else "l" for i in range(len(head)))
    first = " & ".join(map(latex_text, head)) + " \\\\\n"
    packages = "booktabs and longtable" if long else "booktabs"
    lines = [f"% \\usepackage of {packages} is needed.\n"]
    lines += [f"% {' '.join(each.split())}\n" for each in comments]
    lines.append(f"\\begin{{{kind}}}{{{columns}}}\n\\toprule\n{first}\\midrule\n")
    if long:
        lines.append("\\endhead\n\\bottomrule\n\\endfoot\n")
    for row in rows:
        cells = [
            latex_number(cell) if i in numbers else latex_text(cell)
            for i, cell in enumerate(row)
        ]
        # A row that begins with a bracket would be the length of the one above.
        if cells[0].startswith(("[", "*")):
            cells[0] = f"{{}}{cells[0]}"
        lines.append(" & ".join(cells) + " \\\\\n")
    lines.append(f"\\end{{{kind}}}\n" if long else f"\\bottomrule\n\\end{{{kind}}}\n")
    for note in notes:
        lines.append(f"\n\\par\\noindent{{\\footnotesize {latex_text(note)}}}\n")
    return "".join(lines)


def markdown_table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: Sequence[int] = (),
    notes: Sequence[str] = (),
) -> str:
    """The same in Markdown (GitHub's tables).

    Args:
        head: Headings.
        rows: Cells, plain text.
        numbers: Columns that are set to the right.
        notes: Sentences below.
    """
    rule = ["--:" if i in numbers else "---" for i in range(len(head))]
    told = [[_markdown(cell) for cell in row] for row in rows]
    lines = [list(map(_markdown, head)), rule, *told]
    text = "".join("| " + " | ".join(line) + " |\n" for line in lines)
    return text + "".join(f"\n{_markdown(note)}\n" for note in notes)


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>|#~$&])", r"\\\1", " ".join(text.split()))


def _exact(value: float) -> str:
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == round(value) and abs(value) < _WHOLE:
        return f"{value:.0f}"
    power = _power(value)
    if _PLAIN[0] <= power < _PLAIN[1]:
        return f"{Decimal(repr(value)):.{_EXACT - 1 - power}f}".rstrip("0").rstrip(".")
    digits, _, exponent = f"{value:.{_EXACT - 1}e}".partition("e")
    return f"{digits.rstrip('0').rstrip('.')}e{exponent}"


def _at(value: float, place: int, rounding: str) -> str:
    """A number rounded at a power of ten, two digits at least."""
    if math.isinf(value) or value == 0:
        return _exact(value)
    if place == 0 and value == round(value) and abs(value) < _WHOLE:
        return _exact(value)
    place = min(place, _place(value, _DIGITS))
    exact = Decimal(repr(float(value)))
    found = exact.quantize(Decimal(1).scaleb(place), rounding)
    if found == 0:
        return "0"
    power = found.adjusted()
    if _PLAIN[0] <= power < _PLAIN[1] and place < _PLAIN[1]:
        return f"{found:.{max(0, -place)}f}"
    return f"{found.scaleb(-power):.{max(0, power - place)}f}e{power:+03d}"


def _place(value: float, digits: int) -> int:
    """The power of ten of a number's last digit."""
    return _power(value) - digits + 1


def _power(value: float) -> int:
    return Decimal(repr(abs(float(value)))).adjusted() if value else 0
