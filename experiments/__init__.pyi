from . import (
    commands as commands,
    config as config,
    mining as mining,
    pipeline as pipeline,
    questions as questions,
    store as store,
    sweep as sweep,
)
from .api import (
    block_time_law as block_time_law,
    draw as draw,
    result_tables as result_tables,
    security_table as security_table,
    simulate_chain as simulate_chain,
    sweep_table as sweep_table,
    train as train,
)
from .config.experiment import Config as Config
from .config.loading import (
    load_config as load_config,
    shipped_configs as shipped_configs,
)
from .config.section import ConfigError as ConfigError
from .pipeline.stages import run as run
from .sweep.results import read_results as read_results
