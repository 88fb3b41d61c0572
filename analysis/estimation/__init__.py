"""Numbers that may be quoted: a value, its interval, how many draws, by which method.

The question: how sure is a number that was simulated, and how sure one that rests on
some hundred trainings? An estimator that cannot know refuses, and says what is missing.

Notation
    value, low, high    an estimate and its 95 % interval         ``Estimate``
    count               independent draws behind it
    spread              the figure for each resampled law         ``Measurement.spread``
    basis               how many runs count, and how lopsidedly   ``Basis``

Source: docs/science/intervals.md (coverage as measured); C. J. Clopper, E. S. Pearson,
Biometrika 26 (1934); C. Jennison, B. W. Turnbull, Group Sequential Methods (2000).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
