"""What measured quantities are called in tables, once: names only, nothing to load.

Notation (a table's column ``quantity``; ``measurement.Measurement``)
    STRICT       ends a name: a longer private chain is needed, not an equal one
    PREMINED     the adversary starts with its stationary lead
    ALL          every window of at least that length, not one at a random place
    INDEPENDENT  the same of rounds that are independent trials

How a quantity is spread over resampled laws is no matter of its name: a measurement
says it itself (``Measurement.spread``).
"""

STRICT, PREMINED, ALL, INDEPENDENT = "_strict", "_premined", "_all", "_iid"

# Of the fastest of so many provers (``at``) that start together.
BLOCK_TIME_MEAN = "block_time_mean"
BLOCK_TIME_CV = "block_time_cv"

BLOCK_INTERVAL_MEAN = "block_interval_mean"
BLOCK_INTERVAL_CV = "block_interval_cv"
CHAIN_GROWTH = "chain_growth"
CHAIN_QUALITY = "chain_quality"
# The adversary's share of the settled blocks.
REVENUE = "revenue"
STALE_RATE = "stale_rate"

# Of the engine that knows it; what a simulation counted stands beside it, as a check.
PERSISTENCE_VIOLATION = "persistence_violation"
PERSISTENCE_SIMULATED = "persistence_simulated"
UNSAFE_DEPTH = "unsafe_depth"
PRIVATE_GROWTH = "private_growth"
LIVENESS_QUANTILE = "liveness_quantile"
SAFE_DEPTH = "safe_depth"
SAFE_DEPTH_PREMINED = SAFE_DEPTH + PREMINED
# One criterion for all three: a head start, a longer chain reverts.
PRIVATE_CHAIN_DEPTH = "private_chain_depth"
BEST_ATTACK_DEPTH = "best_attack_depth"
ANY_ADVERSARY_DEPTH = "any_adversary_depth"
SAFE_TIME = "safe_time"
TIME_RULE_VIOLATION = "time_rule_violation"
ANY_BLOCK_VIOLATION = "any_block_violation"
ANY_BLOCK_BEST = "any_block_best"
ANY_BLOCK_BOUND = "any_block_bound"

ROUND_SUCCESS = "round_success"
ROUND_SINGLE_SUCCESS = "round_single_success"
ROUND_ADVERSARIAL = "round_adversarial"
GOOD_PERIOD = "good_period"
GOOD_PERIOD_ALL = GOOD_PERIOD + ALL
DISPERSION = "dispersion"
GROWTH_SHORTFALL = "growth_shortfall"
QUALITY_GAP = "quality_gap"
DECAY_SLOPE = "decay_slope"
DECAY_SLOPE_RATIO = "decay_slope_ratio"
DECAY_CONSTANT = "decay_constant"
DECAY_RATIO = "decay_ratio"
DECAY_FIT_P_VALUE = "decay_fit_p_value"

ISOLATED_RATE, ISOLATED_SHARE = "isolated_rate", "isolated_share"
LEFT_ISOLATED_RATE, LEFT_ISOLATED_SHARE = "left_isolated_rate", "left_isolated_share"

# Bounds of SLT23's training oracle, under the paper's symbols.
P, F_1, F_2, P_LOWER, P_UPPER = "p", "f_1", "f_2", "p_lower", "p_upper"
PAST_DIFFICULTY, EARLY_SUCCESS = "past_difficulty", "early_success"
