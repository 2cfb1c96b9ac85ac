"""Files appear whole or not at all, and the names of attempts fit and are found again."""

import os
from pathlib import Path

import pytest

from sr_tasks.storage.atomic import newest_write, partial_name, replacing, sweep_partials, write_text


def test_a_failed_attempt_leaves_the_old_content_and_no_trace(tmp_path: Path) -> None:
    target = tmp_path / "sub" / "a.mp4"
    write_text(target, "old")

    def break_off() -> None:
        with replacing(target) as partial:
            partial.write_text("new")
            raise RuntimeError("broke")

    with pytest.raises(RuntimeError, match="broke"):
        break_off()
    assert [path.name for path in target.parent.iterdir()] == ["a.mp4"]
    assert target.read_text() == "old"
    write_text(target, "new")
    assert target.read_text() == "new"


@pytest.mark.parametrize("name", ["東" * 83 + ".mp4", "a" * 255, "a." + "b" * 250, "x" * 251 + ".mkv"])
def test_names_of_attempts_fit_wherever_the_target_fits(tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    write_text(target, "content")
    assert target.read_text() == "content"
    partial = partial_name(target)
    partial.touch()
    os.utime(partial, (0, 0))
    assert sweep_partials(target) == [partial]


def test_only_stale_attempts_at_the_same_target_are_swept(tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"
    stale, live = partial_name(target), partial_name(target)
    others = [partial_name(tmp_path / name) for name in ("b.mp4", "a.mkv", "a.x.mp4")] + [tmp_path / ".a.partial.mp4"]
    for path in (stale, live, target, *others):
        path.touch()
    for path in (stale, target, *others):
        os.utime(path, (0, 0))
    assert sweep_partials(target) == [stale]
    assert not stale.exists()
    assert all(path.exists() for path in (live, target, *others))


def test_a_folder_that_vanishes_while_it_is_looked_through_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, doomed = tmp_path / "folder", tmp_path / "folder" / "doomed"
    doomed.mkdir(parents=True)
    (doomed / "newest").touch()
    os.utime(doomed / "newest", (2**32, 2**32))
    look = os.scandir

    def scandir(path: Path) -> object:
        if Path(path) == doomed:
            doomed.rename(tmp_path / "gone")
        return look(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert newest_write(folder) == folder.stat().st_mtime
