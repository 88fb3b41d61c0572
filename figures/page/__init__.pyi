from .report import page as page, run_data as run_data
from .sweep import sweep_data as sweep_data
