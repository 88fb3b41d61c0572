from .delay_equivalence import pooling as pooling, saving_as_delay as saving_as_delay
from .findings import (
    Finding as Finding,
    find_domination as find_domination,
    find_equivalence as find_equivalence,
    find_forks as find_forks,
    find_memorylessness as find_memorylessness,
)
from .memorylessness import (
    Row as Row,
    fast_machine as fast_machine,
    restart_forks as restart_forks,
    swept_laws as swept_laws,
)
