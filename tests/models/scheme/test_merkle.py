"""RFC 6962 Merkle trees: published vectors, a naive reference, forged paths."""

import hashlib
from functools import cache

import pytest
from dpodl.models.scheme.merkle import inclusion_path, merkle_root, root_of_path
from hypothesis import given, settings, strategies as st

# The test tree of RFC 6962's reference implementation, and its roots for 0 … 8 leaves.
LEAVES = tuple(
    map(
        bytes.fromhex,
        (
            *("", "00", "10", "2021", "3031", "40414243", "5051525354555657"),
            "606162636465666768696a6b6c6d6e6f",
        ),
    )
)
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
# Published audit paths of the same tree, by (index, size).
PATHS = {
    (0, 1): (),
    (0, 8): (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (5, 8): (
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (2, 3): ("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",),
    (1, 5): (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ),
}
LARGEST = 40


def leaves_of(size: int) -> tuple[bytes, ...]:
    """Leaves of many lengths, among them those of nodes."""
    return tuple(hashlib.sha512(b"%d" % i).digest()[: i % 66] for i in range(size))


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


@cache
def reference_root(leaves: tuple[bytes, ...]) -> bytes:
    """MTH as RFC 6962 §2.1 writes it down."""
    n = len(leaves)
    if n == 0:
        return sha256(b"")
    if n == 1:
        return sha256(b"\x00" + leaves[0])
    k = max(2**e for e in range(n) if 2**e < n)
    return sha256(b"\x01" + reference_root(leaves[:k]) + reference_root(leaves[k:]))


def reference_path(m: int, leaves: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """PATH as RFC 6962 §2.1.1 writes it down."""
    n = len(leaves)
    if n == 1:
        return ()
    k = max(2**e for e in range(n) if 2**e < n)
    if m < k:
        return (*reference_path(m, leaves[:k]), reference_root(leaves[k:]))
    return (*reference_path(m - k, leaves[k:]), reference_root(leaves[:k]))


def proves(leaf: bytes, index: int, size: int, path: tuple, root: bytes) -> bool:
    """Whether a path is taken for a leaf of the tree."""
    try:
        return root_of_path(leaf, index, size, path) == root
    except ValueError:
        return False


# ------------------------------------------------------------------ what they are


@pytest.mark.parametrize("size", range(9))
def test_published_roots(size):
    assert merkle_root(LEAVES[:size]).hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size"), PATHS)
def test_published_paths(index, size):
    path = inclusion_path(LEAVES[:size], index)
    assert tuple(each.hex() for each in path) == PATHS[index, size]


@pytest.mark.parametrize("size", range(LARGEST + 1))
def test_roots_and_paths_are_the_rfcs(size):
    leaves = leaves_of(size)
    root = merkle_root(leaves)
    assert root == merkle_root(list(leaves)) == reference_root(leaves)
    for index in range(size):
        path = inclusion_path(leaves, index)
        assert path == reference_path(index, leaves)
        assert root_of_path(leaves[index], index, size, path) == root


def test_paths_are_logarithmic():
    assert len(inclusion_path(leaves_of(1025), 0)) == 11
    assert len(inclusion_path(leaves_of(1025), 1024)) == 1


# ------------------------------------------------------------------ forged paths


@pytest.mark.parametrize("size", range(1, 14))
def test_a_path_proves_its_own_leaf_at_its_own_place_alone(size):
    leaves = leaves_of(size)
    root = merkle_root(leaves)
    for index in range(size):
        path = inclusion_path(leaves, index)
        for place in range(size):
            for leaf in leaves:
                right = place == index and leaf == leaves[index]
                assert proves(leaf, place, size, path, root) == right


@pytest.mark.parametrize("size", range(1, 14))
def test_another_size_is_refused_or_tells_the_same(size):
    leaves = leaves_of(size)
    root = merkle_root(leaves)
    for index in range(size):
        path = inclusion_path(leaves, index)
        for other in range(LARGEST):
            # The shape above a leaf may be that of another size: then the path shows
            # nothing false, and the size is known from elsewhere anyway.
            if proves(leaves[index], index, other, path, root):
                assert len(inclusion_path(leaves_of(other), index)) == len(path)


def test_sizes_that_look_alike_from_a_leaf():
    # Leaf 0 of 3 and of 4: two digests above either.
    path = inclusion_path(LEAVES[:3], 0)
    assert root_of_path(LEAVES[0], 0, 4, path).hex() == ROOTS[3]
    # Leaf 2 of 3 is a child of the root; of 4 it is not.
    with pytest.raises(ValueError, match=r"^the path of leaf 2 among 4 has 2 digests"):
        root_of_path(LEAVES[2], 2, 4, inclusion_path(LEAVES[:3], 2))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 21])
def test_paths_of_another_length_are_refused(size):
    leaves = leaves_of(size)
    for index in range(size):
        path = inclusion_path(leaves, index)
        for wrong in (path[:-1], path[1:], (*path, bytes(32)), (bytes(32), *path)):
            if len(wrong) == len(path):
                continue
            message = (
                f"^the path of leaf {index} among {size} has {len(path)} digests, "
                f"got {len(wrong)}$"
            )
            with pytest.raises(ValueError, match=message):
                root_of_path(leaves[index], index, size, wrong)


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_only_digests_stand_in_a_path(length):
    path = inclusion_path(LEAVES, 5)
    for place in range(3):
        wrong = (*path[:place], bytes(length), *path[place + 1 :])
        with pytest.raises(ValueError, match=f"^.* have 32 bytes, got {length}$"):
            root_of_path(LEAVES[5], 5, 8, wrong)


@settings(max_examples=100)
@given(st.integers(1, 40), st.data())
def test_a_flipped_bit_is_noticed(size, data):
    leaves = leaves_of(size)
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_path(leaves, index)
    parts = [leaves[index], *path]
    part = data.draw(st.sampled_from([i for i in range(len(parts)) if parts[i]] or [0]))
    bit = data.draw(st.integers(0, max(8 * len(parts[part]) - 1, 0)))
    flipped = bytearray(parts[part] or b"\0")
    flipped[bit // 8] ^= 1 << bit % 8
    leaf, *rest = [*parts[:part], bytes(flipped), *parts[part + 1 :]]
    assert not proves(leaf, index, size, tuple(rest), merkle_root(leaves))


@pytest.mark.parametrize(
    ("index", "size"), [(-1, 3), (3, 3), (4, 3), (0, 0), (0, -1), (2**64, 2**64)]
)
def test_places_that_are_none(index, size):
    with pytest.raises(ValueError, match=f"^index must be from 0 to {size - 1}, got "):
        root_of_path(b"", index, size, ())
    if 0 <= size < 10:
        with pytest.raises(ValueError, match=r"^index must be "):
            inclusion_path(leaves_of(size), index)


def test_a_size_nobody_could_store_costs_no_more_than_its_logarithm():
    path = (bytes(32),) * 64
    assert len(root_of_path(b"leaf", 2**63, 2**64, path)) == 32
    with pytest.raises(ValueError, match=r"^the path of leaf 0 among \d+ has 4096 "):
        root_of_path(b"leaf", 0, 2**4096, path)


# ------------------------------------------------------------------ second preimages


def test_a_node_is_no_leaf():
    # The tree of two leaves, and the "leaf" made of their hashes.
    left, right = (sha256(b"\x00" + leaf) for leaf in LEAVES[:2])
    root = merkle_root(LEAVES[:2])
    for forged in (left + right, b"\x01" + left + right, root):
        assert merkle_root([forged]) != root
        assert not proves(forged, 0, 1, (), root)


def test_a_leaf_is_no_node():
    # Four leaves are no two leaves that are the nodes' contents.
    hashes = [sha256(b"\x00" + leaf) for leaf in LEAVES[:4]]
    nodes = [hashes[0] + hashes[1], hashes[2] + hashes[3]]
    assert merkle_root(nodes) != merkle_root(LEAVES[:4])
    path = inclusion_path(LEAVES[:4], 0)
    assert not proves(nodes[0], 0, 2, path[1:], merkle_root(LEAVES[:4]))


def test_a_repeated_last_leaf_is_another_tree():
    # Bitcoin's tree pairs an odd leaf with itself, and two lists share a root.
    for size in range(1, LARGEST):
        leaves = leaves_of(size)
        assert merkle_root((*leaves, leaves[-1])) != merkle_root(leaves)


def test_roots_are_those_of_one_list():
    lists = [leaves_of(size) for size in range(LARGEST)]
    lists += [(b"", b""), (b"\0",), (b"", b"\0"), (b"\0", b"")]
    assert len({merkle_root(each) for each in lists}) == len(lists)
