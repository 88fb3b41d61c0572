from .adjusted import incomes as incomes, profit_lag as profit_lag
from .contest import Side as Side, first_block as first_block
from .equilibrium import (
    coalition_regret as coalition_regret,
    honest_regret as honest_regret,
    price_of_anarchy as price_of_anarchy,
    pure_equilibria as pure_equilibria,
    replicate as replicate,
)
from .head_start import head_start_share as head_start_share
from .market import (
    Prices as Prices,
    staying as staying,
    takeover_speed as takeover_speed,
)
from .padding import padding_gain as padding_gain
from .payoffs import Payoffs as Payoffs, payoff_table as payoff_table
from .shares import share_curve as share_curve
from .sharing import sharing_threshold as sharing_threshold
from .slots import (
    GameLaws as GameLaws,
    GameRules as GameRules,
    Policy as Policy,
    draw_slots as draw_slots,
    play as play,
)
from .verifying import invalid_threshold as invalid_threshold
