"""Trainings whose worker dies; workers import it by its bare name."""

import os
import signal
from pathlib import Path

from dpodl.experiments.workers.trainings import TrainTask, train_shard


def dies_once(task: TrainTask):
    """The first worker that comes to run 5 is killed; the next one is not."""
    marker = Path(os.environ["TRAINING_TEST_MARKER"])
    if 5 in task.members and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return train_shard(task)
