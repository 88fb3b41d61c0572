from .choice import (
    Choice as Choice,
    Terms as Terms,
    at_choice as at_choice,
    solve_interval as solve_interval,
)
from .elasticity import Elasticity as Elasticity, elasticities as elasticities
from .quantities import estimates as estimates, figures as figures
from .targets import Target as Target, pareto as pareto, verdict as verdict
from .work_cycle import Cycle as Cycle, mean_interval as mean_interval
