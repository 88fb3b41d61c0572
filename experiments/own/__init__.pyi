from .curve_log import CurveLog as CurveLog, read_curves as read_curves
from .time_list import TimeList as TimeList, read_times as read_times
