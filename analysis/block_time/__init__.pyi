from .attempts import Lottery as Lottery
from .effective_runs import RunLaws as RunLaws, run_laws as run_laws
from .empirical import (
    EmpiricalLaw as EmpiricalLaw,
    bootstrap_laws as bootstrap_laws,
    empirical_law as empirical_law,
)
from .horizon import Owed as Owed, owed_to_horizon as owed_to_horizon
from .law import (
    BlockTimeLaw as BlockTimeLaw,
    cv as cv,
    exponential as exponential,
    fastest_of as fastest_of,
    geometric as geometric,
    mean as mean,
    on_device as on_device,
    proof_of_work as proof_of_work,
    quantile as quantile,
    survival as survival,
)
from .uncertain import (
    UncertainLaw as UncertainLaw,
    measured as measured,
    uncertain_law as uncertain_law,
)
