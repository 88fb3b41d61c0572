from .as_levels import event_levels as event_levels
from .balanced import Halves as Halves, simulate_balance as simulate_balance
from .engine import (
    EventNetwork as EventNetwork,
    event_network as event_network,
    simulate_network as simulate_network,
)
from .marked_law import (
    ChainRule as ChainRule,
    MarkedLaw as MarkedLaw,
    chain_rule as chain_rule,
)
from .measurements import (
    chain_measurements as chain_measurements,
    violation_measurements as violation_measurements,
)
from .reorganisations import reorganisation_measurements as reorganisation_measurements
from .selfish import Pool as Pool, simulate_selfish as simulate_selfish
