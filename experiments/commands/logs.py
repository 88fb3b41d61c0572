"""Logging that can be turned up: ``dpodl -v run …`` says what is done, ``-vv`` all.

| verbosity | what is written to standard error |
|---|---|
| 0 | warnings and errors |
| 1, ``-v`` | INFO of the loggers ``dpodl.*``: stages, chunks, shards, reuse |
| 2, ``-vv`` | their DEBUG, and each compilation of jax with its shapes |

Every module logs under its own name, ``logging.getLogger(__name__)``, so that a program
that uses the library turns it up and down by the standard means; this module is only
for the command line. No result depends on it, and nothing here imports jax: an
environment variable tells it, before it is loaded, to log what it compiles.
"""

import logging
import os
import sys

MOST = 2
_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)
# jax logs compilations as warnings of these; at -vv nothing else of jax is asked for.
_COMPILERS = ("jax._src.dispatch", "jax._src.compiler", "jax._src.interpreters.pxla")


class _Terminal(logging.Handler):
    """Lines on standard error as it is at that moment: progress bars replace it."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(self.format(record), file=sys.stderr, flush=True)
        except Exception:
            self.handleError(record)


def set_up_logging(verbosity: int) -> None:
    """Send the library's log to standard error; before jax is imported, for ``-vv``.

    Args:
        verbosity: How often ``-v`` was given; more than 2 is 2.

    Raises:
        ValueError: If verbosity is below 0.
    """
    if verbosity < 0:
        raise ValueError(f"verbosity must be ≥ 0, got {verbosity}")
    verbosity = min(verbosity, MOST)
    ours = logging.getLogger("dpodl")
    ours.setLevel(_LEVELS[verbosity])
    # A second call in the same process, as tests make, must not double the lines.
    for handler in [h for h in ours.handlers if isinstance(h, _Terminal)]:
        ours.removeHandler(handler)
    handler = _Terminal()
    handler.setFormatter(_Lines(with_time=verbosity > 0))
    ours.addHandler(handler)
    ours.propagate = False
    if verbosity == MOST:
        _log_compilations(handler)


def _log_compilations(handler: logging.Handler) -> None:
    if "jax" in sys.modules:
        sys.modules["jax"].config.update("jax_log_compiles", True)
    else:
        os.environ["JAX_LOG_COMPILES"] = "1"
    for name in _COMPILERS:
        theirs = logging.getLogger(name)
        theirs.handlers = [
            h for h in theirs.handlers if not isinstance(h, _Terminal)
        ] + [handler]
        theirs.propagate = False


class _Lines(logging.Formatter):
    """``12:00:00 stages: stage laws is there and intact``, or a plain warning."""

    def __init__(self, *, with_time: bool):
        super().__init__("%(message)s", datefmt="%H:%M:%S")
        self.with_time = with_time

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if not self.with_time:
            return f"dpodl: {text}"
        module = record.name.rpartition(".")[2]
        return f"{self.formatTime(record, self.datefmt)} {module}: {text}"
