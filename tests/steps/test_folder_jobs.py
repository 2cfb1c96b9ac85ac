"""A folder of pictures as one job: what is delivered, what is refused, and that a rerun goes on."""

import dataclasses
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from PIL import Image

from sr_tasks.__main__ import main
from sr_tasks.config import REPOSITORY, Settings
from sr_tasks.errors import DiskTooSmall, InputInvalid, InputNotFound, JobRunning, UsageError
from sr_tasks.folders import job, listing
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.records.folders import shard_count
from sr_tasks.storage.locks import locked
from sr_tasks.telemetry.process_memory import process_memory
from sr_tasks.telemetry.progress import Event, FramesDone
from tests.clips import make
from tests.object_store import serving
from tests.steps import folders


def request(source: Path | str, output: Path | str | None = None, **more: Any) -> JobSpec:
    return JobSpec(source=str(source), output=output and str(output), **{"model": "bicubic", **more})


def command(source: Path, output: Path, workdir: Path) -> list[str]:
    return ["enhance", f"{source}/", str(output), "--model", "bicubic", "--workdir", str(workdir), "--json"]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 pictures, three of them broken, a video, an animation, and a text."""
    folder = folders.pictures(tmp_path_factory.mktemp("mixed") / "in", 57)
    whole = (folder / "part 1" / "p001.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "noise.png").write_bytes(b"no picture at all" * 9)
    (folder / "empty.tif").write_bytes(b"")
    make(folder / "clip.mp4", frames=4)
    frames = [Image.new("RGB", (32, 32), color) for color in ("red", "blue")]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    (folder / "notes.txt").write_text("about the pictures")
    return folder


def test_every_readable_picture_is_delivered_and_the_others_are_named(
    mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    assert main(command(mixed, output, tmp_path / "work")) == 0
    answer = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert (answer["status"], answer["pictures"]) == ("COMPLETED", {"delivered": 57, "failed": 3, "skipped": 3})
    for source in (path for path in mixed.rglob("p*.*") if path.is_file()):
        name = source.relative_to(mixed)
        made = output / (f"{name}.png" if source.suffix == ".gif" else name)
        with Image.open(source) as before, Image.open(made) as after:
            assert after.size == (2 * before.width, 2 * before.height), name
            assert after.format == ("PNG" if before.format == "GIF" else before.format), name
    found = {row["name"]: row for row in folders.manifest(output)["pictures"]}
    assert len(found) == 63
    assert {name: row["status"] for name, row in found.items() if row["status"] != "delivered"} == {
        **dict.fromkeys(("cut.jpg", "noise.png", "empty.tif"), "failed"),
        **dict.fromkeys(("clip.mp4", "moving.gif", "notes.txt"), "skipped"),
    }
    assert all(found[name]["code"].startswith("INPUT_") for name in ("cut.jpg", "noise.png", "empty.tif"))
    assert "animation" in found["moving.gif"]["message"]
    page = Path(answer["report"]).read_text()
    assert page.count("<figcaption>") == 57
    assert "noise.png" in page
    psnr = [row["psnr"] for row in found.values() if row["psnr"]]
    assert page.index(f"{min(psnr):.1f} dB") < page.index(f"{max(psnr):.1f} dB")


def test_killed_in_the_middle_and_run_again_gives_the_same_bytes_and_does_nothing_twice(
    settings: Settings, tmp_path: Path
) -> None:
    source, output = folders.pictures(tmp_path / "in", 40), tmp_path / "out"
    alone = dataclasses.replace(settings, workdir=tmp_path / "alone")
    job.run(request(source, tmp_path / "undisturbed"), alone)
    process = subprocess.Popen(
        [sys.executable, "-m", "sr_tasks", *command(source, output, settings.workdir)], cwd=REPOSITORY
    )
    while process.poll() is None and sum(line["status"] == "delivered" for line in folders.lines(settings.workdir)) < 6:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it was to be killed in the middle of its work"
    before = [line for line in folders.lines(settings.workdir) if line["status"] == "delivered"]
    assert 6 <= len(before) < 40
    inodes = {path: path.stat().st_ino for path in output.rglob("*.*")}
    assert main(command(source, output, settings.workdir)) == 0
    assert folders.tree(output) == folders.tree(tmp_path / "undisturbed")
    delivered = Counter(line["uri"] for line in folders.lines(settings.workdir) if line["status"] == "delivered")
    assert set(delivered.values()) == {1}
    assert len(delivered) == 40
    assert all(path.stat().st_ino == inode for path, inode in inodes.items() if ".partial" not in path.name)


def test_a_rerun_takes_what_is_new_or_changed_alone(settings: Settings, tmp_path: Path) -> None:
    source, spec = folders.pictures(tmp_path / "in", 6), request(tmp_path / "in", tmp_path / "out", overwrite=True)
    assert job.run(spec, settings)["resumed"] == 0
    (source / "part 0" / "p000.png").touch()
    assert job.run(spec, settings)["resumed"] == 6
    folders.picture(source / "part 0" / "p000.png", 77)
    folders.picture(source / "new.png", 78)
    (tmp_path / "out" / "part 1" / "p001.jpg").unlink()
    folders.picture(tmp_path / "out" / "part 0" / "p002.tif", 79)
    before = folders.tree(tmp_path / "out")
    assert job.run(spec, settings)["resumed"] == 3
    assert folders.tree(tmp_path / "out")["part 0/p002.tif"] != before["part 0/p002.tif"]
    assert job.run(spec.model_copy(update={"strip": "all"}), settings)["resumed"] == 0


def test_an_output_of_somebody_else_is_never_replaced_unasked(settings: Settings, tmp_path: Path) -> None:
    folders.pictures(tmp_path / "in", 4)
    theirs = folders.picture(tmp_path / "out" / "part 0" / "p000.png", 99)
    before = theirs.read_bytes()
    result = job.run(request(tmp_path / "in", tmp_path / "out"), settings)
    assert result["pictures"] == {"delivered": 3, "failed": 1, "skipped": 0}
    assert theirs.read_bytes() == before
    assert {row["code"] for row in folders.manifest(tmp_path / "out")["pictures"]} == {"", "TARGET_EXISTS"}


def test_a_thousand_names_are_at_most_two_hundred_shards_and_each_is_in_one(settings: Settings, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for number in range(1000):
        (source / f"{number}.png").touch()
    spec = request(source, tmp_path / "out")
    listed = job.list_pictures(spec, settings)
    assert listed["files"] == 1000
    assert 30 <= len(listed["shards"]) <= 200
    folder, shards = listing.job_folder(spec, settings), len(listed["shards"])
    groups = [group for shard in listed["shards"] for group in listing.groups_of(shard, shards)]
    found = [file.uri for group in groups for file in listing.files_of(folder, group)]
    assert len(found) == len(set(found)) == 1000
    assert shard_count(1) == 1
    assert shard_count(10**7) <= 200


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_pictures(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for number in range(200):
        folders.picture(folder / f"{number}.png", number)
    sizes: dict[int, int] = {}

    class Watch:
        def on_event(self, event: Event) -> None:
            if isinstance(event, FramesDone):
                sizes[event.done] = process_memory("VmRSS")[0]

    job.run(request(folder, tmp_path / "out"), settings, Watch())
    assert sizes[200] - sizes[50] < 12 << 20, sizes


def test_two_folders_with_equal_names_stay_apart(settings: Settings, tmp_path: Path) -> None:
    for number, parent in enumerate("ab"):
        folders.picture(tmp_path / parent / "in" / "p.png", number)
        job.run(request(tmp_path / parent / "in"), settings)
    made = [(tmp_path / parent / "in_x2" / "p.png").read_bytes() for parent in "ab"]
    assert made[0] != made[1]


@pytest.mark.parametrize("inside", ["in/out", "in", "."])
def test_folders_that_lie_in_each_other_are_refused(settings: Settings, tmp_path: Path, inside: str) -> None:
    folders.pictures(tmp_path / "in", 1)
    with pytest.raises(UsageError, match="lie in each other"):
        job.run(request(tmp_path / "in", tmp_path / inside), settings)


def test_too_little_space_is_refused_before_anything_is_made(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders.pictures(tmp_path / "in", 3)
    monkeypatch.setattr("sr_tasks.storage.transfer.free_bytes", lambda path: 600 << 20)
    with (tmp_path / "in" / "large.png").open("wb") as file:
        file.truncate(40 << 20)
    with pytest.raises(DiskTooSmall, match="are needed in"):
        job.run(request(tmp_path / "in", tmp_path / "out"), settings)
    assert not (tmp_path / "out").exists()


def test_a_job_fails_if_no_picture_could_be_delivered(settings: Settings, tmp_path: Path) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    with pytest.raises(InputNotFound, match="no file"):
        job.run(request(source, output), settings)
    (source / "text.txt").write_text("nothing to see")
    with pytest.raises(InputNotFound, match="no still picture"):
        job.run(request(source, output), settings)
    (source / "noise.png").write_bytes(b"noise" * 50)
    with pytest.raises(InputInvalid, match="None of 1 pictures"):
        job.run(request(source, output), settings)
    assert "noise.png" in (output / "pictures.report.html").read_text()


def test_a_second_job_on_the_same_folders_is_refused_while_the_first_is_at_work(
    settings: Settings, tmp_path: Path
) -> None:
    folders.pictures(tmp_path / "in", 1)
    spec = request(tmp_path / "in", tmp_path / "out")
    with locked(listing.job_folder(spec, settings).path / ".lock"), pytest.raises(JobRunning):
        job.run(spec, settings)


@pytest.mark.parametrize("asked", [{"bitrate": "1M"}, {"review": "always"}])
def test_what_makes_no_sense_for_pictures_is_refused(settings: Settings, tmp_path: Path, asked: dict[str, str]) -> None:
    folders.pictures(tmp_path / "in", 1)
    with pytest.raises(UsageError):
        job.run(request(tmp_path / "in", tmp_path / "out", **asked), settings)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Callable[[Settings], Settings]]]:
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    with serving() as endpoint:
        client = boto3.client("s3", endpoint_url=endpoint)
        client.create_bucket(Bucket="archive")
        yield client, lambda plain: dataclasses.replace(plain, s3_endpoint_url=endpoint, allowed_buckets=("archive",))


def test_a_prefix_of_a_bucket_gives_the_same_pictures_as_a_folder(
    bucket: tuple[Any, Callable[[Settings], Settings]], settings: Settings, tmp_path: Path
) -> None:
    client, with_bucket = bucket
    source = folders.pictures(tmp_path / "in", 6)
    job.run(request(source, tmp_path / "out"), settings)
    for name, content in folders.tree(source).items():
        client.put_object(Bucket="archive", Key=f"in/{name}", Body=content)
    spec = request("s3://archive/in/", "s3://archive/out/")
    result = job.run(spec, with_bucket(settings))
    assert result["pictures"]["delivered"] == 6
    for name, content in folders.tree(tmp_path / "out").items():
        assert client.get_object(Bucket="archive", Key=f"out/{name}")["Body"].read() == content, name
    assert job.run(spec, with_bucket(settings))["resumed"] == 6
    assert not [path for path in settings.workdir.rglob("source-*") if path.is_file()]
