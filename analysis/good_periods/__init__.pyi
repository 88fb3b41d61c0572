from .decay import (
    Decay as Decay,
    decay_measurements as decay_measurements,
    fit_decay as fit_decay,
)
from .independence import independence_measurements as independence_measurements
from .training_oracle import OracleBounds as OracleBounds, paper_bounds as paper_bounds
from .windows import (
    RoundRates as RoundRates,
    WindowShares as WindowShares,
    good_period_measurements as good_period_measurements,
    horizon_rounds as horizon_rounds,
    round_rates as round_rates,
    window_shares as window_shares,
)
