"""Questions beyond a run: attacks, effects, risk, thresholds, designs.

Each takes a config and its curves and returns tidy tables with their figures; a command
of the same name prints them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
