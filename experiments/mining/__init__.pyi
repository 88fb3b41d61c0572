from .files import ChainError as ChainError
from .miner import MiningResult as MiningResult, mine as mine
from .reading import ChainView as ChainView, read_chain as read_chain
from .store import ChainFolder as ChainFolder
from .verifying import ChainReport as ChainReport, verify_chain as verify_chain
