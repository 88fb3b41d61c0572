from .branching import Branches as Branches, branch_curves as branch_curves
from .build import ForeignBuild as ForeignBuild, this_build as this_build
from .checkpoints import Rejected as Rejected
from .instances import Instance as Instance, setup as setup
from .records import (
    Block as Block,
    Genesis as Genesis,
    Header as Header,
    Mtx as Mtx,
    Proof as Proof,
)
from .scheme import (
    PreHash as PreHash,
    Training as Training,
    advance as advance,
    initialize as initialize,
    posthash as posthash,
    prehash as prehash,
    prove as prove,
    solve as solve,
)
from .verification import Verification as Verification, verify as verify
