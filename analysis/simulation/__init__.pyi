from .levels import (
    Levels as Levels,
    Network as Network,
    network as network,
    simulate as simulate,
)
from .properties import (
    Paths as Paths,
    chain_measurements as chain_measurements,
    follow as follow,
    liveness_measurements as liveness_measurements,
    persistence_measurements as persistence_measurements,
)
