from .risk import risk_tables as risk_tables
from .threshold import threshold_table as threshold_table
from .threshold_map import telling_accuracies as telling_accuracies
