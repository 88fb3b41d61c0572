from .base import Honest as Honest, Participant as Participant
from .cross_slot import CrossSlotNew as CrossSlotNew, CrossSlotOld as CrossSlotOld
from .grinding import (
    PostHashGrinding as PostHashGrinding,
    PreHashGrinding as PreHashGrinding,
)
from .hidden import ForgedCheckpoints as ForgedCheckpoints, WithheldMtx as WithheldMtx
from .unbound import Equivocate as Equivocate, Relabel as Relabel
