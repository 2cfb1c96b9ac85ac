"""The chunk store under repetition, competition and sudden death."""

import hashlib
import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sr_tasks.errors import ChunkMissing, UsageError
from sr_tasks.storage.workdir import ChunkStore

PRINT = "f" * 16


@pytest.fixture
def store(tmp_path: Path) -> ChunkStore:
    chunks = ChunkStore(tmp_path, PRINT)
    chunks.register("job-1")
    return chunks


def commit(store: ChunkStore, index: int, data: bytes, note: str = "") -> dict[str, Any]:
    partial = store.partial(index)
    partial.write_bytes(data)
    return store.commit(index, partial, {"note": note})


def test_a_chunk_counts_once_its_marker_is_there(store: ChunkStore) -> None:
    assert store.committed(3) is None
    store.chunk_path(3).write_bytes(b"chunk")
    assert store.committed(3) is None
    marker = commit(store, 3, b"a chunk", "first")
    assert marker == {"note": "first", "index": 3, "fingerprint": PRINT, "size_bytes": 7}
    assert ChunkStore(store.path.parents[1], PRINT).committed(3) == marker
    assert store.chunk_path(3).name == "00003.nut"
    assert store.marker_path(3).name == "00003.json"
    assert store.committed(2) is None


def test_the_first_commit_wins_and_the_second_file_is_removed(store: ChunkStore) -> None:
    commit(store, 0, b"first", "first")
    assert commit(store, 0, b"second", "second")["note"] == "first"
    assert store.chunk_path(0).read_bytes() == b"first"
    assert not [path for path in store.path.iterdir() if "partial" in path.name]


@pytest.mark.parametrize("damage", ["size", "chunk", "marker", "fingerprint", "list"])
def test_a_damaged_chunk_is_computed_again(store: ChunkStore, damage: str) -> None:
    marker = commit(store, 0, b"first")
    chunk, beside = store.chunk_path(0), store.marker_path(0)
    match damage:
        case "size":
            chunk.write_bytes(b"fir")
        case "chunk":
            chunk.unlink()
        case "marker":
            beside.write_text('{"size')
        case "fingerprint":
            beside.write_text(json.dumps({**marker, "fingerprint": "0" * 16}))
        case "list":
            beside.write_text("[]")
    assert store.committed(0) is None
    commit(store, 0, b"again")
    assert store.committed(0) is not None
    assert chunk.read_bytes() == b"again"


def test_chunks_stay_while_any_job_uses_them(tmp_path: Path, store: ChunkStore) -> None:
    other = ChunkStore(tmp_path, PRINT)
    other.register("job-2/with:odd?name")
    store.register("job-1")
    commit(store, 0, b"first")
    assert store.release("job-1") is False
    assert store.release("job-1") is False
    assert other.committed(0) is not None
    assert other.release("job-2/with:odd?name") is True
    assert other.release("job-2/with:odd?name") is False
    assert not store.path.exists()
    assert not any((tmp_path / "trash").iterdir())


def test_chunks_can_be_kept_for_a_later_job(store: ChunkStore) -> None:
    commit(store, 0, b"first")
    assert store.release("job-1", keep=True) is False
    store.register("job-2")
    assert store.committed(0) is not None
    assert store.release("job-2") is True
    assert not store.path.exists()


def test_a_job_that_is_released_while_users_are_listed_is_none_of_them(
    store: ChunkStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.register("job-2")
    read = Path.read_text

    def released_first(path: Path, **named: Any) -> str:
        if read(path, **named) == "job-1":
            store.release("job-1")
        return read(path, **named)

    monkeypatch.setattr(Path, "read_text", released_first)
    assert store.users() == {"job-2"}
    store.release("job-2")
    assert store.users() == frozenset()


def test_an_attempt_that_outlives_its_job_is_told_so(store: ChunkStore) -> None:
    partial = store.partial(0)
    partial.write_bytes(b"late")
    store.release("job-1")
    with pytest.raises(ChunkMissing):
        store.commit(0, partial, {})
    with pytest.raises(ChunkMissing):
        store.partial(1)
    assert not store.path.exists()


def test_what_a_killed_release_left_is_removed_by_the_next(tmp_path: Path, store: ChunkStore) -> None:
    left = tmp_path / "trash" / "0123456789abcdef.aa"
    left.mkdir(parents=True)
    (left / "00000.nut").write_bytes(b"old")
    store.release("job-1")
    assert not left.exists()


def test_registering_sweeps_stale_attempts_only(store: ChunkStore) -> None:
    stale, live = store.partial(0), store.partial(0)
    stale.touch()
    live.touch()
    os.utime(stale, (0, 0))
    commit(store, 1, b"chunk")
    os.utime(store.chunk_path(1), (0, 0))
    store.register("job-2")
    assert not stale.exists()
    assert live.exists()
    assert store.committed(1) is not None


@pytest.mark.parametrize("name", ["", "short", "../../escape", "a/b/c/d/e/f", "x" * 129])
def test_a_fingerprint_cannot_lead_out_of_the_workdir(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        ChunkStore(tmp_path, name)


PREPARE = """
from pathlib import Path
from sr_tasks.storage.workdir import ChunkStore
store = ChunkStore(Path(args[0]), args[1])
data = args[2].encode() * 500_000
"""
WRITE = """
partial = store.partial(0)
with partial.open("wb") as file:
    for at in range(0, len(data), 100_000):
        file.write(data[at:at + 100_000])
print(store.commit(0, partial, {"who": args[2]})["who"])
"""


def test_two_processes_at_one_chunk_agree_on_one_result(tmp_path: Path, child: Callable[..., Any]) -> None:
    for turn in range(3):
        store = ChunkStore(tmp_path, f"{turn:016d}")
        store.register("job")
        attempts = [child(PREPARE, WRITE, tmp_path, store.fingerprint, who) for who in ("a", "bb", "ccc")]
        for attempt in attempts:
            attempt.wait_ready()
        for attempt in attempts:
            attempt.go()
        answers = {attempt.answer() for attempt in attempts}
        assert len(answers) == 1
        who = answers.pop()
        marker = store.committed(0)
        assert marker is not None
        assert marker["who"] == who
        assert store.chunk_path(0).read_bytes() == who.encode() * 500_000
        assert sorted(path.name for path in store.path.iterdir()) == ["00000.json", "00000.nut", "users"]


def test_a_process_killed_at_any_moment_leaves_a_whole_chunk_or_none(tmp_path: Path, child: Callable[..., Any]) -> None:
    chance = random.Random(7)
    whole = hashlib.sha256(b"abc" * 500_000).hexdigest()
    forever = "while True:\n    store.marker_path(0).unlink(missing_ok=True)\n" + "".join(
        f"    {line}\n" for line in WRITE.strip().splitlines()
    )
    left: list[bool] = []
    for turn in range(60):
        if turn >= 6 and any(left):
            break
        store = ChunkStore(tmp_path, f"{turn:016d}")
        store.register("job")
        victim = child(PREPARE, forever, tmp_path, store.fingerprint, "abc")
        victim.wait_ready()
        victim.go()
        # Half of them once an attempt has begun, the others once one was committed, each a moment later.
        victim.wait_until(lambda: any(store.path.glob("*partial*" if turn % 2 else "*.json")))  # noqa: B023
        time.sleep(chance.uniform(0.0, 0.01))
        victim.kill()
        left.append(any(store.path.glob("*partial*")))
        if store.committed(0) is not None:
            assert hashlib.sha256(store.chunk_path(0).read_bytes()).hexdigest() == whole
        assert commit(store, 0, b"abc" * 500_000)["size_bytes"] == 1_500_000
        assert hashlib.sha256(store.chunk_path(0).read_bytes()).hexdigest() == whole
    assert any(left), "none was killed in the middle of an attempt"


def test_jobs_that_come_and_go_at_once_never_lose_a_chunk_in_use(tmp_path: Path, child: Callable[..., Any]) -> None:
    body = """
for turn in range(30):
    store.register(args[2])
    partial = store.partial(turn)
    partial.write_bytes(data[:10])
    store.commit(turn, partial, {})
    assert store.committed(turn) is not None, turn
    store.release(args[2])
print("fine")
"""
    jobs = [child(PREPARE, body, tmp_path, PRINT, who) for who in ("a", "b")]
    for job in jobs:
        job.wait_ready()
    for job in jobs:
        job.go()
    assert [job.answer() for job in jobs] == ["fine", "fine"]
    assert not (tmp_path / "chunks" / PRINT).exists()
