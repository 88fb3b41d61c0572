from .closed_forms import (
    forward_gain as forward_gain,
    profit_lag as profit_lag,
    selection_gain as selection_gain,
    sensitivity as sensitivity,
)
from .laws import (
    DeadTime as DeadTime,
    TabulatedLaws as TabulatedLaws,
    dead_time as dead_time,
    gain as gain,
    power_gain as power_gain,
    tabulated as tabulated,
    variation as variation,
)
from .loop import Paths as Paths, run_loop as run_loop
from .measures import Quantity as Quantity, quantities as quantities
from .responses import (
    frequency_response as frequency_response,
    step_response as step_response,
)
from .rules import LoopRule as LoopRule
from .scenarios import Scenario as Scenario
from .transient import good_levels as good_levels, persistence as persistence
from .tuning import Chosen as Chosen, Tuned as Tuned, choose as choose, tuned as tuned
