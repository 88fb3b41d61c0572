"""The answers as HTML: a curve and a table."""

from html import escape

from .answers import Seen

_NAMES = {
    "block_time_mean": "mean block time",
    "block_time_cv": "CV of the block time",
    "chain_growth": "chain growth",
    "stale_rate": "stale blocks",
    "safe_depth": "confirmations",
    "safe_depth_premined": "confirmations, head start",
    "persistence_violation": "risk",
    "unsafe_depth": "last depth that is not safe",
    "private_growth": "private chain's growth over the public one's",
    "good_period": "good period, a window",
    "good_period_all": "good period, all windows",
}
_STYLE = (
    "<style>table.dpodl td, table.dpodl th {padding: 0 1em 0 0; text-align: left}"
    "</style>"
)
_HIGH, _WIDE = 180, 640


def law(seen: Seen) -> str:
    """Pr[X > t] as SVG, with its ends written out."""
    if not len(seen.times):
        return ""
    stop = float(seen.times[-1])
    points = " ".join(
        f"{_WIDE * t / stop:.1f},{_HIGH * (1 - s):.1f}"
        for t, s in zip(seen.times, seen.survival, strict=True)
    )
    told = f"Pr[no block of one prover by t], 1 to 0; t from 0 to {stop:.4g} steps"
    return (
        f'<figure><svg viewBox="0 0 {_WIDE} {_HIGH}" role="img" width="100%" '
        f'style="max-width:{_WIDE}px" aria-label="{told}">'
        f'<rect width="{_WIDE}" height="{_HIGH}" fill="none" stroke="currentColor" '
        'stroke-opacity=".3"/>'
        f'<polyline points="{points}" fill="none" stroke="currentColor" '
        f'stroke-width="2"/></svg><figcaption>{told}</figcaption></figure>'
    )


def table(seen: Seen) -> str:
    """Figures with their 95 % intervals, and why others are missing."""
    rows = "".join(
        f"<tr><td>{_name(str(row['quantity']))}{_at(row)}</td>"
        f'<td title="{escape(row["method"])}">'
        f"{row['value']:.4g} {escape(row['unit'])}</td>"
        f"<td>[{row['low']:.4g}, {row['high']:.4g}]</td></tr>"
        for row in seen.rows.to_dict("records")
    )
    warnings = {row["warning"] for row in seen.rows.to_dict("records")}
    sentences = filter(None, [seen.refusal, *sorted(warnings)])
    told = "".join(f"<p>{escape(each)}</p>" for each in sentences)
    head = "<tr><th>figure</th><th>value</th><th>95 %</th></tr>"
    table = f'<table class="dpodl">{head}{rows}</table>'
    return f"{told}{_STYLE}{table}" if rows else told


def _name(quantity: str) -> str:
    return escape(_NAMES.get(quantity, quantity))


def _at(row: dict) -> str:
    if row["at"] != row["at"]:
        return ""
    return f" at {row['at']:.4g} {escape(row['at_unit'])}"
