"""What others do not see: withheld models, invented checkpoints.

Gaps are numbered as in docs/science/attacks.md.
"""

from ...learning.architecture import HyperParameters
from ...scheme.records import Mtx
from ...scheme.scheme import Instance, Training
from ...scheme.states import Look, Model
from .base import Honest, Letter, Participant, Record, ReferencePolicy, best_of


class WithheldMtx(Honest):
    """Withheld mtx (gap 6): train on public and private models, share none.

    No rule forbids it: the models are shown when a block refers to them.
    """

    adversarial = True

    def __init__(self, policy: ReferencePolicy = "most_accurate", **others):
        super().__init__(policy, **others)

    def found(self, me: Participant, record: Record) -> list[Letter]:
        """Send blocks, keep model transactions."""
        return [] if isinstance(record, Mtx) else [Letter(record)]


class ForgedCheckpoints(Honest):
    """Forged checkpoints: claim steps that were never made.

    The first segments are said to end in the best model heard of; only the last one is
    trained. Found when a challenge hits the segment that jumps.

    Args:
        segments: Segments to claim without work.
    """

    adversarial = True

    def __init__(self, segments: int = 1, **policy):
        super().__init__(**policy)
        self._segments = segments

    def wants(self, me: Participant, hpp: HyperParameters) -> bool:
        """Only the architecture there is a model to steal of."""
        loot = self._loot(me)
        return loot is None or loot[0].hpp.architecture == hpp.architecture

    def begin(
        self, me: Participant, instance: Instance, training: Training
    ) -> Training:
        """Start from somebody's model at a step that was never reached."""
        loot = self._loot(me)
        if loot is None:
            return training
        model, correct = loot
        every = instance.parameters.checkpoint_every
        tensors = training.now.tensors | model.parameters
        forged = tuple(
            Look(tensors, correct, every * (place + 1))
            for place in range(self._segments)
        )
        return training._replace(now=forged[-1], checkpoints=forged)

    def _loot(self, me: Participant) -> tuple[Model, int] | None:
        # Of this task: another one's menu may not have the architecture.
        task = me.ledger.entries[me.view.tip].task
        models = map(me.ledger.published.__getitem__, me.view.models)
        best = best_of(each for each in models if each.task == task)
        if best is None or best.model is None:
            return None
        return best.model, best.record.proof.correct
