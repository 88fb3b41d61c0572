from .tables import results_text as results_text
