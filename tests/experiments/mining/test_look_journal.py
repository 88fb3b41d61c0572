"""Notes of looks on disk: what is whole is read, what is torn or changed is dropped."""

import pytest
from dpodl.experiments.mining.look_journal import LookJournal
from dpodl.models.chain.replay import Seen

SEEN = {
    bytes([i]) * 32: Seen(i * 1000, bytes([i, 1]) * 16, bytes([i, 2]) * 16)
    for i in range(5)
}


@pytest.fixture
def written(tmp_path):
    with LookJournal(tmp_path) as journal:
        for name, seen in SEEN.items():
            journal.note(name, seen)
    return tmp_path


def known(folder) -> int:
    with LookJournal(folder) as journal:
        found = [journal.recall(name) for name in SEEN]
    assert all(
        each in (None, SEEN[name]) for name, each in zip(SEEN, found, strict=True)
    )
    return sum(each is not None for each in found)


def test_what_is_noted_is_recalled(written):
    assert known(written) == 5
    with LookJournal(written) as journal:
        assert journal.recall(bytes([9]) * 32) is None


@pytest.mark.parametrize("cut", [1, 50, 107, 108, 109, 539])
def test_a_torn_end_is_dropped_and_written_over(written, cut):
    path = written / ".looks"
    data = path.read_bytes()
    path.write_bytes(data[:-cut])
    assert known(written) == (len(data) - cut) // 108
    with LookJournal(written) as journal:
        for name, seen in SEEN.items():
            if journal.recall(name) is None:
                journal.note(name, seen)
    assert path.read_bytes() == data


@pytest.mark.parametrize("place", [0, 33, 60, 105, 300])
def test_a_changed_entry_is_dropped_with_what_follows(written, place):
    path = written / ".looks"
    data = bytearray(path.read_bytes())
    data[place] ^= 4
    path.write_bytes(data)
    assert known(written) == place // 108


def test_what_a_link_leads_to_is_not_cut(written):
    beside = written / "of the user's"
    (written / ".looks").replace(beside)
    content = beside.read_bytes() + b"more"
    beside.write_bytes(content)
    (written / ".looks").symlink_to(beside)
    assert known(written) == 0
    assert beside.read_bytes() == content


def test_a_finished_chain_keeps_no_notes(written):
    with LookJournal(written) as journal:
        journal.finish()
    assert not (written / ".looks").exists()
