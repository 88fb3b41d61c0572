from .estimate import (
    Estimate as Estimate,
    Refused as Refused,
    estimate_mean as estimate_mean,
    estimate_probability as estimate_probability,
    estimate_quantile as estimate_quantile,
    estimate_ratio as estimate_ratio,
    estimate_share as estimate_share,
)
from .measurement import (
    Measurement as Measurement,
    with_training_error as with_training_error,
)
from .sampling import Budget as Budget, until as until
from .training_error import (
    Basis as Basis,
    few_runs as few_runs,
    law_figure as law_figure,
    training_interval as training_interval,
)
