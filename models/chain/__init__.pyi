from .archive import MemoryArchive as MemoryArchive
from .certification import duties as duties
from .ledger import Ledger as Ledger
from .prover import Prover as Prover
from .replay import Memory as Memory
from .transactions import Key as Key, transfer as transfer
from .view import View as View
from .world import World as World
