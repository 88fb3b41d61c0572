from .architecture import (
    HyperParameters as HyperParameters,
    Initialization as Initialization,
    Menu as Menu,
    Optimizer as Optimizer,
    hash_to_architecture as hash_to_architecture,
    run_digest as run_digest,
)
from .chunk_program import Bucket as Bucket
from .curves import (
    CurveSet as CurveSet,
    CurveSettings as CurveSettings,
    TrainingSet as TrainingSet,
    draw_runs as draw_runs,
    train_chunk as train_chunk,
    training_set as training_set,
)
from .data import (
    DataError as DataError,
    Dataset as Dataset,
    load_dataset as load_dataset,
)
from .networks import build_network as build_network, step_operations as step_operations
from .pins import pinned as pinned, seed_key as seed_key
