from .attack import (
    Attack as Attack,
    choose_faster as choose_faster,
    private as private,
    relabel as relabel,
)
from .grinding import grind_posthash as grind_posthash, grind_prehash as grind_prehash
from .optimal_selfish import optimal_selfish_revenue as optimal_selfish_revenue
from .rows import Effort as Effort, Row as Row, tidy as tidy
from .table import attack_table as attack_table
from .warm import (
    cross_slot_new as cross_slot_new,
    cross_slot_old as cross_slot_old,
    withheld_mtx as withheld_mtx,
)
