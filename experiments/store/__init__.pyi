from .curve_store import CurveStore as CurveStore
from .locks import Busy as Busy, exclusive as exclusive
from .possible import Changed as Changed, check_possible as check_possible
from .run_folder import RunFolder as RunFolder
from .state_store import StateStore as StateStore
