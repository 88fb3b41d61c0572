from .depths import depth_threshold as depth_threshold, safe_depths as safe_depths
from .rare_ages import safe_time as safe_time, time_rule_rare as time_rule_rare
from .tables import (
    DepthCell as DepthCell,
    RiskCell as RiskCell,
    depth_table as depth_table,
    risk_table as risk_table,
)
