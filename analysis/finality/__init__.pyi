from .from_blocks import (
    ChainFacts as ChainFacts,
    chain_facts as chain_facts,
)
from .given_times import (
    GivenTimes as GivenTimes,
    erlang_first_to as erlang_first_to,
    exponential_risk as exponential_risk,
)
from .observed_chain import (
    BlockRisk as BlockRisk,
    ObservedChain as ObservedChain,
    Parties as Parties,
    block_risks as block_risks,
)
