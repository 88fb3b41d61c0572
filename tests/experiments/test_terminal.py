"""Progress bars never show more than all of it."""

from dpodl.experiments.terminal import progress_bars
from rich.progress import Progress


def test_a_second_job_of_the_same_name_has_its_own_total(monkeypatch):
    bars = []
    update = Progress.update

    def seen(self, task, **fields):
        update(self, task, **fields)
        bars.append((self.tasks[task].completed, self.tasks[task].total))

    monkeypatch.setattr(Progress, "update", seen)
    with progress_bars(quiet=False) as progress:
        for total in (3, 12, 2):
            for done in range(total + 1):
                progress("training models", done, total)
    assert len(bars) == 20
    assert all(done <= total for done, total in bars)
    assert bars[-1] == (2, 2)
