from .accuracy import AccuracyRule as AccuracyRule, next_correct as next_correct
from .fold import State as State, advance as advance, begin as begin
from .rule import NAMES as NAMES, Rule as Rule, rule_problems as rule_problems
from .selection import block_value as block_value
from .shares import ONE as ONE, share_of_steps as share_of_steps
from .timestamps import (
    median_time_past as median_time_past,
    timestamp_problem as timestamp_problem,
)
