"""A rehearsal finds before any work what a job would fail at, plans it otherwise or refuses it, and leaves nothing."""

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from sr_tasks.config import Settings
from sr_tasks.errors import InputUnsupported, IntegrityBroken, RehearsalFailed
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.records.job import SourceRecord
from sr_tasks.steps import rehearsal_places, rehearsal_streams, validate
from sr_tasks.steps.resampler import Resampler
from sr_tasks.steps.shared import confined
from tests.clips import Clip, make
from tests.readers import H264, ffmpeg
from tests.steps.conftest import Enhance

SUBTITLED = Clip(frames=120, width=64, height=48, sound="aac", options={"g": "12"}, attachment=True)


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def without_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A muxer that breaks off at attachments, which no plan of streams foresees."""
    assemble = rehearsal_streams.assemble

    def breaking(path: Any, output: Any, suffix: Any, video: Any, chunks: Any, fates: Any, *rest: Any) -> str:
        if any(row.type == "attachment" and row.output_index is not None for row in fates):
            raise ValueError("no attachments today")
        return assemble(path, output, suffix, video, chunks, fates, *rest)

    monkeypatch.setattr(rehearsal_streams, "assemble", breaking)


def test_beginning_middle_and_end_are_rehearsed_and_the_manifest_says_so(enhance: Enhance, tmp_path: Path) -> None:
    source = make(tmp_path / "clip.mkv", SUBTITLED)
    result = enhance(source)
    told = json.loads(Path(result["manifest"]).read_text())["rehearsal"]
    starts = [place["start_s"] for place in told["places"]]
    assert len(starts) == 3
    assert starts[0] == 0
    assert 2.0 < starts[1] < 3.2
    assert starts[2] > 4
    assert sum(place["frames"] for place in told["places"]) <= 36
    assert told["changed"] == []
    assert "at 0.0 s" in Path(result["report"]).read_text()


def test_the_report_lists_what_was_repaired(enhance: Enhance, tmp_path: Path) -> None:
    whole = make(tmp_path / "whole.mkv", Clip(frames=12, width=64, height=48, codec="mjpeg", pix_fmt="yuvj420p"))
    source = tmp_path / "clip.mkv"
    with av.open(str(whole)) as before, av.open(str(source), "w") as after:
        stream = after.add_stream_from_template(before.streams.video[0])
        for number, packet in enumerate(packet for packet in before.demux() if packet.size):
            packet.stream = stream
            packet.pts = packet.dts = 40 * (4 if number == 5 else number)
            after.mux(packet)
    result = enhance(source)
    repairs = json.loads(Path(result["manifest"]).read_text())["source"]["probe"]["repairs"]
    assert repairs
    report = Path(result["report"]).read_text()
    assert "Repairs" in report
    assert all(repair["what"] in report for repair in repairs)


def test_a_stream_that_does_not_come_out_is_dropped_and_the_reason_is_told(
    enhance: Enhance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make(tmp_path / "clip.mkv", SUBTITLED)
    without_fonts(monkeypatch)
    manifest = json.loads(Path(enhance(source)["manifest"]).read_text())
    rows = {row["type"]: row for row in manifest["streams"]}
    assert (rows["attachment"]["fate"], rows["audio"]["fate"]) == ("dropped", "kept")
    assert "no attachments today" in rows["attachment"]["reason"]
    assert "no attachments today" in manifest["rehearsal"]["changed"][0]


def test_a_strict_job_is_refused_if_the_rehearsal_drops_something(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make(tmp_path / "clip.mkv", SUBTITLED)
    without_fonts(monkeypatch)
    request = JobSpec(source=str(source), model="bicubic", preset="ultrafast", strict=True)
    with pytest.raises(InputUnsupported, match="attachment"):
        validate.run(request, "job", settings)


def test_a_picture_that_does_not_come_out_is_refused_before_any_work_and_nothing_is_left(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make(tmp_path / "clip.mkv", SUBTITLED)

    def broken(*_: object) -> None:
        raise IntegrityBroken("The encoder lost a frame.")

    monkeypatch.setattr(rehearsal_places, "prove_chunk", broken)
    with pytest.raises(RehearsalFailed, match="lost a frame") as caught:
        validate.run(JobSpec(source=str(source), model="bicubic"), "job", settings)
    assert caught.value.exit_code == 3
    assert not files_in(settings.workdir)


def test_a_source_is_rehearsed_once_for_the_same_settings(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make(tmp_path / "clip.mkv", SUBTITLED)
    rehearsed: list[str] = []
    own = confined.confined

    def counted(work: Any, kind: type, path: Path, bounds: Any) -> Any:
        rehearsed.append(kind.__name__)
        return own(work, kind, path, bounds)

    monkeypatch.setattr("sr_tasks.steps.rehearsal.confined", counted)
    for job_id, preset in (("a", "ultrafast"), ("b", "ultrafast"), ("c", "veryfast"), ("a", "veryfast")):
        validate.run(JobSpec(source=str(source), model="bicubic", preset=preset), job_id, settings)
    assert rehearsed == ["Rehearsal", "Rehearsal"]


def brighter(planes: Any) -> None:
    planes[0][:] = np.minimum(planes[0].astype(int) + 6, 255)


def exchanged(planes: Any) -> None:
    planes[1][:], planes[2][:] = planes[2].copy(), planes[1].copy()


def black(planes: Any) -> None:
    planes[0][:], planes[1][:], planes[2][:] = 16, 128, 128


@pytest.mark.parametrize(
    ("spoil", "said"), [(brighter, "shifted by"), (exchanged, "matrix or range"), (black, "are black")]
)
def test_what_the_gate_would_refuse_is_refused_before_any_work_unless_the_gate_is_off(
    spoil: Any, said: str, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make(tmp_path / "clip.mkv", SUBTITLED)
    infer = Resampler.infer

    def spoilt(self: Resampler, planes: Any, out: Any = None) -> Any:
        infer(self, planes, out)
        spoil(out)
        return out

    monkeypatch.setattr(Resampler, "infer", spoilt)
    with pytest.raises(RehearsalFailed, match=said) as caught:
        validate.run(JobSpec(source=str(source), model="bicubic"), "job", settings)
    assert "near 0.0 s" in caught.value.message
    assert validate.run(JobSpec(source=str(source), model="bicubic", gate=False), "free", settings)["frames"] == 120


def test_each_place_where_the_picture_changes_is_rehearsed(settings: Settings, tmp_path: Path) -> None:
    source = tmp_path / "joined.ts"
    for size in ("96x64", "64x64", "96x64"):
        part = ffmpeg(
            tmp_path / "part.ts", "-f", "lavfi", "-i", f"testsrc2=s={size}:r=25", "-frames:v", 40, *H264, "-bf", 0
        )
        with source.open("ab") as target:
            target.write(part.read_bytes())
    validate.run(JobSpec(source=str(source), output=str(tmp_path / "o.mkv"), model="bicubic"), "job", settings)
    record = JobFolder(settings.workdir, "job").load("source", SourceRecord)
    assert record.rehearsal is not None
    starts = {round(place.start_s * 25) for place in record.rehearsal.places}
    assert {0, 40, 80} < starts
    assert {repair.kind for repair in record.media.repairs} >= {"fitted-frames"}
