from .dispatch import Orders as Orders, compute_all as compute_all
from .executors import Pool as Pool, WorkersError as WorkersError, workers as workers
from .trainings import Trained as Trained, train_runs as train_runs
