"""The table of docs/science/adversary.md: withholding over families, CV and share.

    python docs/withholding_table.py

Prints it as Markdown; about two minutes on two idle cores. 20 provers, γ = 0, Δ = 0.
"""

import jax
from dpodl.analysis.attacks.optimal_selfish import optimal_selfish_revenue
from dpodl.analysis.attacks.sm1 import sm1_revenue
from dpodl.analysis.block_time.formulas import formula_law
from dpodl.analysis.block_time.law import BlockTimeLaw, cv
from dpodl.analysis.withholding import best_withholding, withholding_upper_end

PROVERS = 20
SHARES = (7,)
LAWS = {
    "Weibull 4": formula_law("weibull", 1000, shape=4),
    "gamma": formula_law("gamma", 1000, cv=0.28),
    "dead time + lottery": formula_law("exponential", 1000, dead_time=720),
    "exponential": formula_law("exponential", 1000),
    "gamma, wider": formula_law("gamma", 1000, cv=0.5),
    "dead time + lottery, shorter": formula_law("exponential", 1000, dead_time=500),
}


def row(name: str, law: BlockTimeLaw, own: int) -> str:
    """One law and one share, as a line of the table."""
    honest, share = PROVERS - own, own / PROVERS
    memoryless = name == "exponential"
    # Ages tell a memoryless adversary nothing, but its forks are long.
    depth, cells, fine = (40, 4, 4) if memoryless else (7, 108, 108)
    key = jax.random.key(own)
    named = sm1_revenue(
        key, law, provers=PROVERS, beta=share, gamma=0.0, events=4096, replicas=512
    )
    found = best_withholding(
        key, law, honest=honest, own=own, depth=depth, cells=cells, steps=2048
    ).revenue
    upper = withholding_upper_end(law, honest=honest, own=own, depth=depth, cells=fine)
    optimum = optimal_selfish_revenue(share, 0.0).lower
    numbers = [
        f"{each.value:.4f} ± {(each.high - each.low) / 2:.4f}"
        for each in (named, found)
    ]
    numbers += [f"{upper:.4f}", f"{optimum:.4f}"]
    return " | ".join(["", name, f"{cv(law):.2f}", f"{share:g}", *numbers, ""]).strip()


def main() -> None:
    """Print the table, row by row."""
    heads = ["law", "CV", "α", "SM1", "best found", "no strategy above", "memoryless"]
    print(" | ".join(["", *heads, ""]).strip())
    print("|" + "---|" * len(heads))
    for own in SHARES:
        for name, law in LAWS.items():
            print(row(name, law, own), flush=True)


if __name__ == "__main__":
    main()
