from . import (
    analysis as analysis,
    experiments as experiments,
    figures as figures,
    models as models,
)
from .analysis.block_time.law import BlockTimeLaw as BlockTimeLaw
from .analysis.estimation.estimate import Estimate as Estimate, Refused as Refused
from .experiments.api import (
    block_time_law as block_time_law,
    draw as draw,
    result_tables as result_tables,
    security_table as security_table,
    simulate_chain as simulate_chain,
    sweep_table as sweep_table,
    train as train,
)
from .experiments.config.experiment import Config as Config
from .experiments.config.loading import (
    load_config as load_config,
    shipped_configs as shipped_configs,
)
from .experiments.config.section import ConfigError as ConfigError
from .experiments.pipeline.stages import run as run
from .experiments.sweep.results import read_results as read_results

__version__: str
