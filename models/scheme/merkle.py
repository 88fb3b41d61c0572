"""Merkle trees over byte strings, hashed as in RFC 6962.

Notation (RFC 6962 §2.1):
    MTH({})     = SHA-256()
    MTH({d})    = SHA-256(0x00 ‖ d)
    MTH(D[n])   = SHA-256(0x01 ‖ MTH(D[0:k]) ‖ MTH(D[k:n])),  k = the largest power
                  of two below n
    PATH(m, D)  the audit path of leaf m, from the leaf's sibling up to the root's child

The prefixes keep a leaf from being passed off as an inner node and the other way.
"""

import hashlib
from collections.abc import Sequence

Path = tuple[bytes, ...]

_DIGEST_BYTES = 32


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """MTH of the leaves, 32 bytes."""
    if not leaves:
        return hashlib.sha256().digest()
    level = [_leaf(data) for data in leaves]
    while len(level) > 1:
        # Pairing neighbours and carrying an odd one up gives the RFC's tree: its
        # left halves are complete.
        paired = [_node(a, b) for a, b in zip(level[::2], level[1::2], strict=False)]
        level = paired + level[len(paired) * 2 :]
    return level[0]


def inclusion_path(leaves: Sequence[bytes], index: int) -> Path:
    """PATH(index, leaves): the siblings from the leaf to the root.

    Raises:
        ValueError: If there is no such leaf.
    """
    _check_place(index, len(leaves))
    size = len(leaves)
    if size == 1:
        return ()
    split = _split(size)
    if index < split:
        path = inclusion_path(leaves[:split], index)
        return (*path, merkle_root(leaves[split:]))
    path = inclusion_path(leaves[split:], index - split)
    return (*path, merkle_root(leaves[:split]))


def root_of_path(leaf: bytes, index: int, size: int, path: Path) -> bytes:
    """The root that a leaf and its audit path lead to.

    Args:
        leaf: The leaf's data.
        index: Its place among ``size`` leaves.
        size: Leaves of the tree, known from elsewhere.
        path: Its audit path.

    Raises:
        ValueError: If the place is none, the path has another length than a tree of
            that size gives, or holds anything but digests: then no root would prove
            anything.
    """
    _check_place(index, size)
    expected = _path_length(index, size)
    if len(path) != expected:
        raise ValueError(
            f"the path of leaf {index} among {size} has {expected} digests, "
            f"got {len(path)}"
        )
    for digest in path:
        if len(digest) != _DIGEST_BYTES:
            raise ValueError(
                f"the path's digests have {_DIGEST_BYTES} bytes, got {len(digest)}"
            )
    return _climb(_leaf(leaf), index, size, list(path))


def _climb(node: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    if size == 1:
        return node
    sibling = path.pop()
    split = _split(size)
    if index < split:
        return _node(_climb(node, index, split, path), sibling)
    return _node(sibling, _climb(node, index - split, size - split, path))


def _path_length(index: int, size: int) -> int:
    length = 0
    while size > 1:
        split = _split(size)
        inside = index < split
        index, size = (index, split) if inside else (index - split, size - split)
        length += 1
    return length


def _split(size: int) -> int:
    return 1 << (size - 1).bit_length() - 1


def _leaf(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _check_place(index: int, size: int) -> None:
    if not 0 <= index < size:
        raise ValueError(f"index must be from 0 to {size - 1}, got {index}")
