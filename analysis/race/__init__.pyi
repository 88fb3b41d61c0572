from .fourier import smallest_depths as smallest_depths
from .grid import Grid as Grid, grid_for as grid_for
from .threshold import (
    Threshold as Threshold,
    race_drift as race_drift,
    race_threshold as race_threshold,
)
from .walk import (
    Race as Race,
    SafeDepth as SafeDepth,
    outgrows as outgrows,
    race as race,
)
