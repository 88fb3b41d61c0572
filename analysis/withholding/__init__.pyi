from .best import (
    Withholding as Withholding,
    best_withholding as best_withholding,
    withholding_upper_end as withholding_upper_end,
)
from .double_spends import (
    DoubleSpends as DoubleSpends,
    best_double_spends as best_double_spends,
)
from .played import simulate_policy as simulate_policy
from .policy import (
    Policy as Policy,
    from_arrays as from_arrays,
    to_arrays as to_arrays,
)
from .replay import replayed_share as replayed_share
