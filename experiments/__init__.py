"""What was asked: configs, runs, sweeps, chains, the command line.

Chapters: ``config`` and ``store``, on them ``pipeline`` (a run), on that ``workers``,
``sweep``, ``mining`` and ``questions``, and ``commands`` above all. ``api`` is the door
for programs, ``cli`` the one for people.

The names below are the stable ones, loaded on first use: importing this, or asking it
for its names, loads no jax.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
