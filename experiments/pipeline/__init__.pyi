from .estimates import estimate_tables as estimate_tables
from .laws import curve_table as curve_table, law_tables as law_tables
from .machine import (
    processor as processor,
    set_up_jax as set_up_jax,
    usable_cores as usable_cores,
)
from .stages import RunResult as RunResult, run as run
from .training import (
    curve_settings as curve_settings,
    stored_curves as stored_curves,
    train as train,
)
