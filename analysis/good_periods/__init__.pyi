from .decay import Decay as Decay, fit_decay as fit_decay
from .decay_compared import decay_measurements as decay_measurements
from .independence import independence_measurements as independence_measurements
from .rounds import horizon_rounds as horizon_rounds
from .training_oracle import OracleBounds as OracleBounds, paper_bounds as paper_bounds
from .windows import (
    RoundRates as RoundRates,
    WindowShares as WindowShares,
    good_period_measurements as good_period_measurements,
    round_rates as round_rates,
    window_shares as window_shares,
)
