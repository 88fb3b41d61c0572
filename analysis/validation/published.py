"""Published and exactly computed values that the engines must meet (security.md §7).

Notation (that of ``bounds.py``)
    q           adversary's share of memoryless block events
    z, k        depth, blocks
    α, γ        selfish pool's share; honest share that ties for it
    S_0         dead time, here in mean memoryless intervals of all provers

Digits are those of the source. Both race tables are exact sums of rationals, rounded
to eleven digits; tests/reference holds the same numbers as text.

Sources
    [N08], [R14], [GP18], [GR22], [SLT23] as in ``bounds.py``; [SSZ16] as in
    ``selfish.py``; [GRR23] as in ``settlement.py``.
"""

# fmt: off
# [R14], [GP18]: private race, ties win, no pre-mining: I_{4pq}(z, ½).
PRIVATE_DEPTHS = (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30)
PRIVATE_RACE: dict[float, tuple[float, ...]] = {
    0.05: (
        1.0000000000e-01, 1.4500000000e-02, 2.3162500000e-03, 3.8715625000e-04,
        6.6444414062e-05, 1.1602690117e-05, 3.6591467574e-07, 1.1878678119e-08,
        2.4193102971e-12, 5.2075236633e-16, 2.6169299239e-23,
    ),
    0.10: (
        2.0000000000e-01, 5.6000000000e-02, 1.7120000000e-02, 5.4560000000e-03,
        1.7818400000e-03, 5.9141216000e-04, 6.7249775936e-05, 7.8597646543e-06,
        3.9252263588e-08, 2.0678238887e-10, 6.2112991441e-15,
    ),
    0.15: (
        3.0000000000e-01, 1.2150000000e-01, 5.3223750000e-02, 2.4206343750e-02,
        1.1257326211e-02, 5.3137271605e-03, 1.2192136154e-03, 2.8701473783e-04,
        8.2230102584e-06, 2.4791845189e-07, 2.4324586955e-10,
    ),
    0.20: (
        4.0000000000e-01, 2.0800000000e-01, 1.1584000000e-01, 6.6688000000e-02,
        3.9162880000e-02, 2.3308410880e-02, 8.4794994196e-03, 3.1582410983e-03,
        2.8361289879e-04, 2.6719163469e-05, 2.5504278472e-07,
    ),
    0.30: (
        6.0000000000e-01, 4.3200000000e-01, 3.2616000000e-01, 2.5207200000e-01,
        1.9761732000e-01, 1.5644958192e-01, 1.0002508011e-01, 6.5106713763e-02,
        2.3307657870e-02, 8.6738642696e-03, 1.2768758295e-03,
    ),
    0.40: (
        8.0000000000e-01, 7.0400000000e-01, 6.3488000000e-01, 5.7958400000e-01,
        5.3313536000e-01, 4.9300373504e-01, 4.2620636522e-01, 3.7218404283e-01,
        2.7242589733e-01, 2.0411726258e-01, 1.1910400854e-01,
    ),
    0.45: (
        9.0000000000e-01, 8.5050000000e-01, 8.1374625000e-01, 7.8342440625e-01,
        7.5715810910e-01, 7.3375483834e-01, 6.9299214971e-01, 6.5792817516e-01,
        5.8606496478e-01, 5.2863006451e-01, 4.3933436891e-01,
    ),
}

# [GR22] without delay: Pr[L + A + M ≥ k], the adversary chose the moment.
PREMINED_DEPTHS = (1, 2, 3, 4, 6, 10, 20)
PREMINED_RACE: dict[float, tuple[float, ...]] = {
    0.05: (
        1.4736842105e-01, 2.3736842105e-02, 3.9877631579e-03, 6.8674671053e-04,
        2.1292453836e-05, 2.2484249237e-08, 1.0116696437e-15,
    ),
    0.10: (
        2.8888888889e-01, 8.9777777778e-02, 2.8906666667e-02, 9.5075555556e-03,
        1.0693256533e-03, 1.4714505299e-05, 3.9907457631e-10,
    ),
    0.20: (
        5.5000000000e-01, 3.1600000000e-01, 1.8568000000e-01, 1.1065600000e-01,
        4.0375797760e-02, 5.7170356736e-03, 5.0461339793e-05,
    ),
    0.30: (
        7.7142857143e-01, 6.0685714286e-01, 4.8260571429e-01, 3.8657828571e-01,
        2.5169565641e-01, 1.1057714610e-01, 1.5637650317e-02,
    ),
    0.40: (
        9.3333333333e-01, 8.7466666667e-01, 8.2176000000e-01, 7.7346133333e-01,
        6.8794974208e-01, 5.5012046771e-01, 3.2570640049e-01,
    ),
}
# fmt: on

# (q, z): the same race with a strict lead needed.
STRICT_RACE = {(0.1, 6): 1.1032e-4, (0.3, 6): 0.0891074, (0.3, 10): 0.0376999}

# [N08] §11, as printed: (q, z). A Poisson approximation of PRIVATE_RACE.
NAKAMOTO = {
    (0.1, 1): 0.2045873,
    (0.1, 2): 0.0509779,
    (0.1, 5): 0.0009137,
    (0.1, 6): 0.0002428,
    (0.3, 5): 0.1773523,
    (0.3, 10): 0.0416605,
}

# Bitcoin, 600 s and Δ = 10 s. (q, k): lower and upper bound of the confirmation error.
BITCOIN_X = 10 / 600
GUO_REN = {(0.1, 6): (0.00106933, 0.00352563)}
GAZI_REN_RUSSELL = {
    (0.1, 6): (1.1109e-3, 1.2739e-3),
    (0.2, 10): (6.0137e-3, 6.4514e-3),
    (0.3, 10): (0.11467, 0.11796),
}

# [SSZ16] Table 1, γ = 0. At .4 and .45 these are values of branches of at most 95
# blocks, not the optimum (.488677 and .670058).
SELFISH_OPTIMUM = {1 / 3: 0.33705, 0.35: 0.37077, 0.4: 0.48866, 0.45: 0.66894}

# ε: Pr[not (1−ε)kp < X < (1+ε)kp], X ~ Bin(k, p), kp = 100, p = .05.
ATYPICAL = {0.2: 0.04517, 0.3: 2.532e-3, 0.5: 9.731e-7}

# S_0: violation at q = .3, z = 6, ties win; Monte Carlo of the specification, ±.003,
# taken as its standard error (the grid has .1565, .1896, .3534, .5802).
DEAD_TIME_TIES = {0: 0.157, 1: 0.191, 5: 0.357, 10: 0.578}
DEAD_TIME_TIES_ERROR = 0.003
# πS_0: share of blocks of the faster of two provers, speeds 1.25 : 1.
DOMINATION = {0: 0.5556, 1: 0.6539, 5: 0.8727, 10: 0.9635}

# [SLT23] Table 2, seconds of 20 runs each: mean, variance.
SLT23_RUNS = 20
SLT23_DL = (81.88, 109.19)  # plain training to .97
SLT23_LOTTERY = (140.60, 648.97)  # (2^244, 2^255, .97): post-hash ticket of ½
SLT23_LOTTERY_MINIMUM = 115.0
