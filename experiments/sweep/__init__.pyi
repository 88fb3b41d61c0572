from .driver import SweepResult as SweepResult, run_sweep as run_sweep
from .evaluation import Outcome as Outcome, evaluate as evaluate
from .results import read_results as read_results, results_table as results_table
from .store import SweepStore as SweepStore
