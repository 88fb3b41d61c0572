from .comparison import Comparison as Comparison, compared as compared
from .holdings import (
    Holding as Holding,
    cached as cached,
    held_stores as held_stores,
    remove as remove,
)
