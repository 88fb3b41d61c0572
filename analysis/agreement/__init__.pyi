from .chains import (
    Chains as Chains,
    observed_chain as observed_chain,
    simulated_chains as simulated_chains,
)
from .comparison import (
    Comparison as Comparison,
    compare_chains as compare_chains,
    compare_domination as compare_domination,
    compare_winners as compare_winners,
    compare_with_law as compare_with_law,
)
