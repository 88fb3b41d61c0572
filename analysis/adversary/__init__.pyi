from .assumptions import ASSUMPTIONS as ASSUMPTIONS, NO_BOUND as NO_BOUND
from .clocks import fastest_child as fastest_child, slowest_level as slowest_level
from .exponent import Exponent as Exponent, any_exponent as any_exponent
from .informed import (
    Rule as Rule,
    best_rule as best_rule,
    informed_gain as informed_gain,
    law_of_rule as law_of_rule,
)
from .one_tree import OneTree as OneTree, one_tree_risks as one_tree_risks
from .permanence import Settled as Settled, settled as settled
from .reset import (
    Reset as Reset,
    closed_growth as closed_growth,
    reset_growth as reset_growth,
)
from .risks_by_tier import TierRisk as TierRisk, tier_risks as tier_risks
from .shares_by_tier import Share as Share, tier_shares as tier_shares
from .speed import (
    AnyThreshold as AnyThreshold,
    Speed as Speed,
    any_speed as any_speed,
    any_threshold as any_threshold,
    one_fast_machine as one_fast_machine,
)
from .tiers import Tier as Tier, Tiers as Tiers, three_tiers as three_tiers
from .warp import Warped as Warped, warped as warped
