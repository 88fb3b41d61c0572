from .maps import draw_map as draw_map
from .needs import Lacking as Lacking
from .series import draw_series as draw_series, number_axis as number_axis
from .tables import optional_table as optional_table, where as where
