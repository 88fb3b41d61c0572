"""Grinding: hashes are tried until their outcome pleases.

Gaps are numbered as in docs/science/attacks.md.
"""

from collections.abc import Callable, Iterable

import numpy as np

from ...learning.architecture import HyperParameters
from ...scheme.scheme import Instance, Training, posthash, reached
from ...scheme.states import model_digest, parameters_of
from .base import Drawn, Honest, Participant


class PreHashGrinding(Honest):
    """Pre-hash grinding (gap 3): train only what learns fast.

    Pays for it in hashes; worth it while p_1 is generous.

    Args:
        fast: Whether hyper-parameters are worth training.
    """

    adversarial = True

    def __init__(self, fast: Callable[[HyperParameters], bool], **policy):
        super().__init__(**policy)
        self._fast = fast

    def wants(self, me: Participant, hpp: HyperParameters) -> bool:
        """Only the fast ones."""
        return self._fast(hpp)


class PostHashGrinding(Honest):
    """Post-hash grinding (gap 2): nudge the weights for another h_2.

    One hash a ticket instead of a look's training. Refused bit for bit; passes where
    Verify tolerates the nudge.

    Args:
        nudge: Largest change of a weight.
        tries: Most hashes a look.
    """

    adversarial = True

    def __init__(self, nudge: float, *, tries: int = 100_000, **policy):
        super().__init__(**policy)
        self._nudge = nudge
        self._tries = tries

    def ticket(self, me: Participant, instance: Instance, training: Training) -> Drawn:
        """As many tickets as it takes."""
        drawn = super().ticket(me, instance, training)
        if drawn.b or not reached(
            instance.parameters, instance.task, training.now.correct
        ):
            return drawn
        for tries, nudged in enumerate(self._nudged(training), start=1):
            model = model_digest(nudged.model)
            now = nudged.now
            if posthash(instance.parameters.t_2, model, now.correct, now.steps)[1]:
                return Drawn(True, nudged, tries)
        return drawn._replace(hashes=self._tries)

    def _nudged(self, training: Training) -> Iterable[Training]:
        """Copies in which some values of the largest tensor are a tiny step higher."""
        tensors = training.now.tensors
        # A bias of ten values would give a thousand copies, and then repeat them.
        name = max(parameters_of(tensors), key=lambda each: tensors[each].size)
        values = tensors[name]
        for tries in range(self._tries):
            # Which ones: the digits of a counter.
            digits = tries + 1 >> np.arange(values.size, dtype=np.int64) & 1
            moved = np.where(
                digits.reshape(values.shape) == 1,
                values + np.float32(0.5 * self._nudge),
                values,
            ).astype(np.float32)
            now = training.now._replace(tensors=tensors | {name: moved})
            kept = tuple(
                now if look.steps == now.steps else look
                for look in training.checkpoints
            )
            yield training._replace(now=now, checkpoints=kept)
