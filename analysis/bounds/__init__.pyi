from .backbone import backbone_guarantees as backbone_guarantees
from .delays import (
    growth_under_delay as growth_under_delay,
    loner_rate as loner_rate,
    nontailgater_rate as nontailgater_rate,
    security_threshold as security_threshold,
)
from .intervals import dead_time_mean_cv as dead_time_mean_cv, domination as domination
from .races import (
    first_to as first_to,
    nakamoto_approximation as nakamoto_approximation,
    premined_race as premined_race,
    private_race as private_race,
)
from .rounds import (
    backbone_growth as backbone_growth,
    good_window as good_window,
    typicality as typicality,
)
from .selfish import (
    selfish_revenue as selfish_revenue,
    selfish_threshold as selfish_threshold,
)
from .settlement import gazi_ren_russell as gazi_ren_russell
