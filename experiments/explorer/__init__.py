"""A run's figures under other settings, at once: what a slider asks.

The question: how do block times, confirmations and good periods move with the targets,
the provers, the adversary and the delay, on the models that a run has trained?

Every answer is the library's own: that of a sweep's point (``sweep.quick_evaluation``),
with the training's error in its intervals. ``app`` shows it in the browser.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
