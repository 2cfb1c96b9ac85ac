"""Sources as they are found and targets as they are left, on the local disk."""

import errno
import hashlib
import math
import os
import random
import resource
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sr_tasks.config import Settings
from sr_tasks.errors import (
    DiskFull,
    InputChanged,
    InputNotFound,
    InputUnreadable,
    IntegrityBroken,
    SrError,
    TargetExists,
    TargetUnwritable,
    UriNotAllowed,
)
from sr_tasks.storage import publish, transfer
from sr_tasks.storage.atomic import partial_name
from sr_tasks.storage.transfer import check_target, deliver, fetch, free_bytes, stat
from sr_tasks.storage.uris import LocalFile

SETTINGS = Settings()
NOBODY = 65534


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture
def made(tmp_path: Path) -> Path:
    path = tmp_path / "work" / "made.mp4"
    path.parent.mkdir()
    path.write_bytes(random.Random(1).randbytes(300_000))
    return path


@contextmanager
def without_rights() -> Iterator[None]:
    """Act as a user who owns nothing, also where the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everybody may enter; pytest's own are for its user only."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)
        Path(name).chmod(0o755)


def test_the_identity_of_a_source_changes_with_its_content(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"first")
    before = stat(LocalFile(path), SETTINGS)
    assert before.size_bytes == 5
    assert stat(LocalFile(path), SETTINGS) == before
    os.utime(path, ns=(1, 1))
    assert stat(LocalFile(path), SETTINGS) != before
    with pytest.raises(InputChanged):
        fetch(LocalFile(path), tmp_path, SETTINGS, before)


def test_a_local_source_is_used_where_it_lies(made: Path, tmp_path: Path) -> None:
    found = fetch(LocalFile(made), tmp_path / "scratch", SETTINGS, stat(LocalFile(made), SETTINGS))
    assert found == made
    assert not (tmp_path / "scratch").exists()


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for path in (tmp_path, tmp_path / "pipe", tmp_path / "socket", Path("/dev/zero")):
            with pytest.raises(UriNotAllowed, match="not a file"):
                stat(LocalFile(path), SETTINGS)


def test_a_missing_source_is_not_found(made: Path) -> None:
    for path in (made.with_name("other"), made / "below-a-file"):
        with pytest.raises(InputNotFound, match=path.name):
            stat(LocalFile(path), SETTINGS)


def test_a_source_without_permission_is_unreadable(public: Path) -> None:
    path = public / "a.mp4"
    path.write_bytes(b"secret")
    path.chmod(0)
    with without_rights(), pytest.raises(InputUnreadable, match="permission denied"):
        stat(LocalFile(path), SETTINGS)


@pytest.mark.parametrize("move", [False, True])
def test_a_delivery_makes_its_folders_and_may_be_repeated(made: Path, tmp_path: Path, move: bool) -> None:
    target = tmp_path / "out" / "deep" / "füße ?#%.mp4"
    for _ in range(2):
        deliver(made, LocalFile(target), SETTINGS, overwrite=False, move=move)
        assert target.read_bytes() == made.read_bytes()
        assert tree(tmp_path / "out") == ["deep", "deep/füße ?#%.mp4"]
    assert target.samefile(made) is move


def test_the_same_content_at_the_target_is_a_success_and_another_is_not(made: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    target.write_bytes(made.read_bytes())
    inode = target.stat().st_ino
    deliver(made, LocalFile(target), SETTINGS, overwrite=False)
    assert target.stat().st_ino == inode
    other = made.read_bytes()[:-1] + b"\0"
    target.write_bytes(other)
    with pytest.raises(TargetExists, match=r"out\.mp4"):
        deliver(made, LocalFile(target), SETTINGS, overwrite=False)
    assert target.read_bytes() == other
    assert tree(tmp_path) == ["out.mp4", "work", "work/made.mp4"]


@pytest.mark.parametrize("move", [False, True])
def test_an_existing_target_is_replaced_when_asked(made: Path, tmp_path: Path, move: bool) -> None:
    target = tmp_path / "out.mp4"
    target.write_bytes(b"old")
    for _ in range(2):
        deliver(made, LocalFile(target), SETTINGS, overwrite=True, move=move)
        assert target.read_bytes() == made.read_bytes()
    assert tree(tmp_path) == ["out.mp4", "work", "work/made.mp4"]


def test_only_files_are_ever_replaced(made: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "dangling"):
        before = tree(tmp_path)
        for call in (
            lambda path=path: deliver(made, LocalFile(path), SETTINGS, overwrite=True),
            lambda path=path: check_target(LocalFile(path), SETTINGS, overwrite=True),
        ):
            with pytest.raises(TargetUnwritable, match="not a file"):
                call()
        assert tree(tmp_path) == before


def test_a_finished_file_that_is_gone_is_reported(tmp_path: Path) -> None:
    with pytest.raises(IntegrityBroken, match=r"made\.mp4"):
        deliver(tmp_path / "made.mp4", LocalFile(tmp_path / "out.mp4"), SETTINGS, overwrite=False)


def test_a_copy_that_differs_is_never_published(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "sha256_file", lambda path: "0" * 64)
    with pytest.raises(IntegrityBroken):
        deliver(made, LocalFile(tmp_path / "out.mp4"), SETTINGS, overwrite=False)
    assert tree(tmp_path) == ["work", "work/made.mp4"]


def test_stale_attempts_at_the_target_are_removed(made: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    stale, live = partial_name(target), partial_name(target)
    stale.touch()
    live.touch()
    os.utime(stale, (time.time() - 90_000,) * 2)
    deliver(made, LocalFile(target), SETTINGS, overwrite=False)
    assert not stale.exists()
    assert live.exists()


def test_checking_a_target_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "out.mp4"
    check_target(LocalFile(target), SETTINGS, overwrite=False)
    assert tree(tmp_path) == []
    target.parent.mkdir(parents=True)
    target.write_bytes(b"there")
    with pytest.raises(TargetExists):
        check_target(LocalFile(target), SETTINGS, overwrite=False)
    check_target(LocalFile(target), SETTINGS, overwrite=True)
    assert tree(tmp_path) == ["new", "new/folder", "new/folder/out.mp4"]


@pytest.mark.parametrize("name", ["made.mp4/out.mp4", "made.mp4/deep/out.mp4", "n" * 256, "d" * 256 + "/a/out.mp4"])
def test_a_target_that_cannot_be_made_is_unwritable(made: Path, name: str) -> None:
    target = LocalFile(made.parent / name)
    with pytest.raises(TargetUnwritable):
        check_target(target, SETTINGS, overwrite=False)
    with pytest.raises(TargetUnwritable):
        deliver(made, target, SETTINGS, overwrite=False)
    assert tree(made.parent) == ["made.mp4"]


def test_a_target_without_permission_is_unwritable(public: Path) -> None:
    made = public / "made.mp4"
    made.write_bytes(b"made")
    closed = public / "closed"
    closed.mkdir(mode=0o555)
    for name in ("out.mp4", "deep/out.mp4"):
        target = LocalFile(closed / name)
        with without_rights():
            with pytest.raises(TargetUnwritable, match="permission denied"):
                check_target(target, SETTINGS, overwrite=False)
            with pytest.raises(TargetUnwritable, match="permission denied"):
                deliver(made, target, SETTINGS, overwrite=False)
    assert tree(public) == ["closed", "made.mp4"]


def test_a_disk_that_fills_up_leaves_nothing(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(DiskFull):
            deliver(made, LocalFile(tmp_path / "out.mp4"), SETTINGS, overwrite=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, old)
    assert tree(tmp_path) == ["work", "work/made.mp4"]

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(transfer, "copy", full)
    with pytest.raises(DiskFull) as caught:
        deliver(made, LocalFile(tmp_path / "out.mp4"), SETTINGS, overwrite=False)
    assert caught.value.retryable


def refuse_links(*_: object, **__: object) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


@pytest.mark.parametrize("has_rename", [True, False])
def test_file_systems_without_links_are_served(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_rename: bool
) -> None:
    monkeypatch.setattr(os, "link", refuse_links)
    if not has_rename:
        monkeypatch.setattr(publish, "has_renamed", lambda *_: False)
    target = LocalFile(tmp_path / "out.mp4")
    deliver(made, target, SETTINGS, overwrite=False, move=True)
    assert target.path.read_bytes() == made.read_bytes()
    assert not target.path.samefile(made)
    other = tmp_path / "other"
    other.write_bytes(b"other")
    with pytest.raises(TargetExists):
        publish.without_replacing(other, target.path)
    assert target.path.read_bytes() == made.read_bytes()
    assert tree(tmp_path) == ["other", "out.mp4", "work", "work/made.mp4"]


def test_free_bytes_are_those_of_the_disk_the_folder_would_be_on(tmp_path: Path) -> None:
    facts = os.statvfs(tmp_path)
    assert free_bytes(tmp_path / "not" / "yet") == pytest.approx(facts.f_bavail * facts.f_frsize, rel=0.05)


PREPARE = """
from pathlib import Path
from sr_tasks.config import Settings
from sr_tasks.errors import TargetExists
from sr_tasks.storage.transfer import deliver
from sr_tasks.storage.uris import LocalFile
made, target, settings = Path(args[0]), LocalFile(Path(args[1])), Settings()
"""


def test_of_deliveries_at_once_exactly_one_wins(tmp_path: Path, child: Callable[..., Any]) -> None:
    body = """
try:
    deliver(made, target, settings, overwrite=False, move=args[2] == "move")
    print("won")
except TargetExists:
    print("lost")
"""
    for turn in range(3):
        target = tmp_path / f"out-{turn}.mp4"
        sources = [tmp_path / f"made-{turn}-{index}" for index in range(4)]
        rivals = []
        for index, source in enumerate(sources):
            source.write_bytes(bytes([index]) * 2_000_000)
            rivals.append(child(PREPARE, body, source, target, "move" if index % 2 else "copy"))
        for rival in rivals:
            rival.wait_ready()
        for rival in rivals:
            rival.go()
        answers = [rival.answer() for rival in rivals]
        assert sorted(answers) == ["lost", "lost", "lost", "won"]
        assert target.read_bytes() == sources[answers.index("won")].read_bytes()
    assert not [name for name in tree(tmp_path) if "partial" in name]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_delivery_killed_at_any_moment_is_whole_or_absent(
    tmp_path: Path, child: Callable[..., Any], overwrite: bool
) -> None:
    made, target = tmp_path / "made.mp4", tmp_path / "out" / "out.mp4"
    made.write_bytes(random.Random(2).randbytes(24 << 20))
    whole = hashlib.sha256(made.read_bytes()).hexdigest()
    left = []
    body = "deliver(made, target, settings, overwrite=bool(args[2]))\nsys.stdin.readline()"
    for part in (0.0, 0.0, 0.5, 1.0, math.inf):

        def has_come_so_far(part: float = part) -> bool:
            attempts = target.parent.glob(".*partial*")
            return target.exists() or any(size(path) >= part * made.stat().st_size for path in attempts)

        victim = child(PREPARE, body, made, target, "yes" if overwrite else "")
        victim.wait_ready()
        victim.go()
        victim.wait_until(has_come_so_far)
        victim.kill()
        left.append(not target.exists())
        if target.exists():
            assert hashlib.sha256(target.read_bytes()).hexdigest() == whole
        deliver(made, LocalFile(target), SETTINGS, overwrite=overwrite)
        assert hashlib.sha256(target.read_bytes()).hexdigest() == whole
        target.unlink()
    assert any(left), "none was killed in the middle of a delivery"


def size(path: Path) -> int:
    """In bytes; -1 if it is gone."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1


def test_every_refusal_has_a_hint(made: Path, tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_bytes(b"other")
    for call in (
        lambda: stat(LocalFile(tmp_path / "missing"), SETTINGS),
        lambda: stat(LocalFile(tmp_path), SETTINGS),
        lambda: deliver(made, LocalFile(tmp_path / "out.mp4"), SETTINGS, overwrite=False),
        lambda: check_target(LocalFile(made / "x"), SETTINGS, overwrite=False),
    ):
        with pytest.raises(SrError) as caught:
            call()
        assert caught.value.hint
