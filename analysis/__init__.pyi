from . import (
    adversary as adversary,
    agreement as agreement,
    assessment as assessment,
    attacks as attacks,
    block_time as block_time,
    bounds as bounds,
    calibration as calibration,
    confirmations as confirmations,
    effects as effects,
    estimation as estimation,
    event_network as event_network,
    feedback as feedback,
    good_periods as good_periods,
    race as race,
    simulation as simulation,
    validation as validation,
    withholding as withholding,
)
from .assessment.one_law import Plan as Plan, assess as assess
from .block_time.attempts import Lottery as Lottery
from .block_time.empirical import (
    bootstrap_laws as bootstrap_laws,
    empirical_law as empirical_law,
)
from .block_time.law import (
    BlockTimeLaw as BlockTimeLaw,
    exponential as exponential,
    fastest_of as fastest_of,
)
from .block_time.uncertain import (
    UncertainLaw as UncertainLaw,
    uncertain_law as uncertain_law,
)
from .estimation.estimate import Estimate as Estimate, Refused as Refused
from .simulation.levels import network as network, simulate as simulate
