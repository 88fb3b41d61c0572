from .engines import chosen_engine as chosen_engine
from .situation import WarmStarts as WarmStarts, world_law as world_law
from .translation import (
    costs_of as costs_of,
    law_of as law_of,
    lottery_of as lottery_of,
    network_of as network_of,
    plan_of as plan_of,
)
from .verdict import Verdict as Verdict
