from .comparison import Comparison as Comparison, compared as compared
