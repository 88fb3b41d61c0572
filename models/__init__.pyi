from . import chain as chain, learning as learning, scheme as scheme
from .learning.architecture import (
    Menu as Menu,
    hash_to_architecture as hash_to_architecture,
)
from .learning.curves import (
    CurveSet as CurveSet,
    CurveSettings as CurveSettings,
    draw_runs as draw_runs,
    train_chunk as train_chunk,
    training_set as training_set,
)
from .learning.data import Dataset as Dataset, load_dataset as load_dataset
from .scheme.instances import setup as setup
from .scheme.scheme import solve as solve
from .scheme.verification import verify as verify
