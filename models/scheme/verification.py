"""Verify: is a proof what Solve would have given?

Hashes and lotteries are recomputed; training is run again from checkpoint to checkpoint
where challenges fall, and always at the end (docs/science/verification.md).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..learning.architecture import Initialization as Init
from .build import require_same_build
from .checkpoints import (
    Archive,
    Evidence,
    Rejected,
    challenge_seed,
    checkpoint,
    draw_challenges,
    segment_count,
)
from .encoding import digest, encode
from .formats import PROOF
from .instances import Instance
from .records import Build, Header, Parameters, Proof
from .scheme import bound_bytes, initialize, passes, posthash, prehash_prefix, run_to
from .states import Look, Model, Tensors, model_digest, parameters_of


class Verification(NamedTuple):
    """An accepted proof, and what it took.

    Attributes:
        model: M.
        accuracy: acc.
        segments: Segments there are.
        rerun: Those that were re-executed.
        rerun_steps: Training steps of the re-execution.
        proof_bytes: Bytes of the proof, openings and checkpoints that were needed.
    """

    model: Model
    accuracy: float
    segments: int
    rerun: tuple[int, ...]
    rerun_steps: int
    proof_bytes: int


def verify_hashes(parameters: Parameters, header: Header, proof: Proof) -> bytes:
    """What of Verify needs no training: step counts, h_1 ≤ T_1 and h_2 ≤ T_2.

    Returns:
        h_1.

    Raises:
        Rejected: Names the rule that is broken.
    """
    if not 0 < proof.steps <= parameters.horizon_steps:
        raise Rejected(
            "steps",
            f"must be from 1 to {parameters.horizon_steps}, got {proof.steps}",
        )
    if proof.steps % parameters.check_every:
        raise Rejected(
            "steps",
            f"a proof ends at a look, every {parameters.check_every} steps, "
            f"got {proof.steps}",
        )
    if proof.correct > parameters.eval_samples:
        raise Rejected(
            "accuracy",
            f"at most {parameters.eval_samples} can be correct, got {proof.correct}",
        )
    bound = bound_bytes(parameters, header)
    prefix = prehash_prefix(header.prev_block, proof.reference, bound)
    h_1 = digest("prehash", prefix, proof.nonce)
    if not passes(h_1, parameters.t_1):
        raise Rejected("pre-hash", "h_1 is above T_1")
    _, b = posthash(parameters.t_2, proof.model, proof.correct, proof.steps)
    if not b:
        raise Rejected("post-hash", "h_2 is above T_2")
    return h_1


def verify(
    instance: Instance,
    header: Header,
    proof: Proof,
    referenced: Model | None,
    archive: Archive,
    *,
    here: Build,
    challenges: int | None = None,
    later: bytes = b"",
) -> Verification:
    """Verify: the pre-hash, the training by re-execution, the post-hash.

    1. h_1 ≤ T_1, and (initM, r) follow from h_1 and refM.
    2. Challenged segments are run again from checkpoint i to i + 1 and compared bit
       for bit; the last segment and the claimed accuracy always.
    3. h_2 ≤ T_2.

    Args:
        instance: Setup's output.
        header: What the proof is for.
        proof: The proof.
        referenced: refM, itself verified; None for ⊥.
        archive: Openings and checkpoints.
        here: The build this runs on.
        challenges: q; None: as the parameters say.
        later: Digest of a later block for interactive-like challenges.

    Raises:
        Rejected: Names the rule that is broken.
        ForeignBuild: If this build need not reproduce the recorded one's bits.

    Reference: [SLT23] §3.2; docs/science/verification.md.
    """
    parameters = instance.parameters
    segments = segment_count(parameters, proof.steps)
    q = parameters.challenges if challenges is None else challenges
    drawn = draw_challenges(challenge_seed(header, proof, later), segments, q)
    run = tuple(sorted({*drawn, segments - 1}))
    return reexecute(instance, header, proof, referenced, archive, run, here=here)


def reexecute(
    instance: Instance,
    header: Header,
    proof: Proof,
    referenced: Model | None,
    archive: Archive,
    segments: Sequence[int],
    *,
    here: Build,
) -> Verification:
    """Verify with the segments that are run again given, in the order they are run.

    Args:
        instance: Setup's output.
        header: What the proof is for.
        proof: The proof.
        referenced: refM, itself verified; None for ⊥.
        archive: Openings and checkpoints.
        segments: Which, each once, the last one among them.
        here: The build this runs on.

    Raises:
        Rejected: Names the rule that is broken, at the first segment that breaks it.
        ForeignBuild: If this build need not reproduce the recorded one's bits.
    """
    parameters = instance.parameters
    h_1 = verify_hashes(parameters, header, proof)
    require_same_build(instance.build, here)

    way = proof.reference.way if proof.reference else None
    try:
        start = initialize(instance, h_1, referenced, way)
    except ValueError as error:
        raise Rejected("reference", f"the model does not fit: {error}") from error
    count = segment_count(parameters, proof.steps)
    evidence = Evidence(archive, proof.cp_root, count, start.now)
    end = start.now
    for index in segments:
        found = _check_segment(instance, start.initialization, index, proof, evidence)
        if index == count - 1:
            end = found

    model = Model(start.initialization.hpp, parameters_of(end.tensors))
    if (proof.correct, proof.steps) != (end.correct, end.steps):
        raise Rejected(
            "accuracy",
            f"{proof.correct} correct after {proof.steps} steps are claimed, "
            f"the last segment gives {end.correct} after {end.steps}",
        )
    if model_digest(model) != proof.model:
        raise Rejected("model", "it is not the one the last segment ends with")
    return Verification(
        model=model,
        accuracy=end.correct / parameters.eval_samples,
        segments=count,
        rerun=tuple(sorted(segments)),
        rerun_steps=sum(_segment_steps(parameters, proof, i) for i in segments),
        proof_bytes=len(encode(PROOF, proof)) + evidence.bytes,
    )


def stored_model(
    instance: Instance,
    h_1: bytes,
    proof: Proof,
    referenced: Model | None,
    archive: Archive,
) -> Model:
    """M of a proof that has been verified, from the archive, without training.

    Raises:
        Rejected: If the archive's is another.
    """
    way = proof.reference.way if proof.reference else None
    start = initialize(instance, h_1, referenced, way)
    count = segment_count(instance.parameters, proof.steps)
    evidence = Evidence(archive, proof.cp_root, count, start.now)
    tensors = evidence.look(count - 1).tensors
    model = Model(start.initialization.hpp, parameters_of(tensors))
    if model_digest(model) != proof.model:
        raise Rejected("evidence", "the last checkpoint is not the proof's model")
    return model


def _check_segment(
    instance: Instance, init: Init, index: int, proof: Proof, evidence: Evidence
) -> Look:
    """Re-run one segment and compare its end with the committed one."""
    parameters = instance.parameters
    begin = evidence.look(index - 1)
    if begin.steps != index * parameters.checkpoint_every:
        raise Rejected(
            "checkpoints", f"segment {index} begins at a wrong step, {begin.steps}"
        )
    claimed = evidence.leaf(index)
    steps = _segment_steps(parameters, proof, index)
    try:
        end = run_to(instance, init, begin, steps)
    except ValueError as error:
        raise Rejected("checkpoints", f"segment {index}: {error}") from error
    if checkpoint(end) == claimed:
        return end
    if parameters.tolerance > 0:
        given = evidence.look(index)
        if (given.correct, given.steps) == (end.correct, end.steps) and _close(
            given.tensors, end.tensors, parameters.tolerance
        ):
            return given
    raise Rejected(
        "training", f"segment {index} does not end in the state that was committed"
    )


def _segment_steps(parameters: Parameters, proof: Proof, index: int) -> int:
    begin = index * parameters.checkpoint_every
    return min(parameters.checkpoint_every, proof.steps - begin)


def _close(given: Tensors, expected: Tensors, tolerance: float) -> bool:
    if given.keys() != expected.keys():
        return False
    return all(
        given[name].shape == values.shape
        and bool((_difference(given[name], values) <= tolerance).all())
        for name, values in expected.items()
    )


def _difference(given: np.ndarray, expected: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", over="ignore"):  # infinite minus infinite
        return np.abs(given - expected)
