"""What a job tells the people who run it: metrics, log lines, manifest. None of it can break the job."""

import dataclasses
import hashlib
import io
import json
import socket
from html.parser import HTMLParser
from pathlib import Path

import pytest

from sr_tasks.config import Settings
from sr_tasks.errors import InputNotFound
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.steps import pipeline
from sr_tasks.telemetry import logs
from sr_tasks.telemetry.progress import Observers
from tests.clips import Clip, make
from tests.steps.conftest import Enhance


def test_a_job_sends_its_metrics(settings: Settings, tmp_path: Path) -> None:
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    receiver.settimeout(120)
    metered = dataclasses.replace(settings, statsd_host="127.0.0.1", statsd_port=receiver.getsockname()[1])
    metered = dataclasses.replace(metered, device_hour_cost=2.5)
    source = make(tmp_path / "clip.mp4", frames=12)
    pipeline.run(JobSpec(source=str(source), model="bicubic"), "job", metered, Observers())
    sent = {}
    while "sr.jobs.completed" not in sent:
        name, value = receiver.recv(1024).decode().split(":")
        sent[name] = value
    receiver.close()
    assert sent["sr.frames"] == "12|c"
    assert sent["sr.jobs.processing"] == sent["sr.jobs.completed"] == sent["sr.cache.misses"] == "1|c"
    assert sent["sr.chunk_time"].endswith("|ms")
    assert float(sent["sr.quality.psnr.bicubic.1"].removesuffix("|g")) > 30
    assert sent["sr.verdicts.passed.bicubic.1"] == "1|c"
    assert {"sr.fps", "sr.quality.ssim.bicubic.1", "sr.step_time.assemble", "sr.disk_free"} <= sent.keys()
    assert float(sent["sr.output_seconds"].removesuffix("|c")) == pytest.approx(12 / 25, abs=0.05)
    price = float(sent["sr.cost"].removesuffix("|c")) / float(sent["sr.device_seconds"].removesuffix("|c"))
    assert price * 3600 == pytest.approx(2.5)


def test_a_job_that_fails_sends_the_code_of_its_error_once(settings: Settings, tmp_path: Path) -> None:
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    receiver.settimeout(120)
    metered = dataclasses.replace(settings, statsd_host="127.0.0.1", statsd_port=receiver.getsockname()[1])
    with pytest.raises(InputNotFound):
        pipeline.run(JobSpec(source=str(tmp_path / "gone.mp4"), model="bicubic"), "job", metered, Observers())
    assert [receiver.recv(1024).decode() for _ in range(3)] == [
        "sr.jobs.processing:1|c",
        "sr.jobs.failed:1|c",
        "sr.failures.request.INPUT_NOT_FOUND:1|c",
    ]
    receiver.close()


def test_every_log_line_is_json_with_the_job_when_asked(settings: Settings, tmp_path: Path) -> None:
    out = io.StringIO()
    logs.configure(dataclasses.replace(settings, log_json=True), stream=out)
    source = make(tmp_path / "clip.mp4", frames=4)
    pipeline.run(JobSpec(source=str(source), model="bicubic"), "job-7", settings, Observers())
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert {line["job"] for line in lines} == {"job-7"}
    assert {"validate", "assess", "report"} <= {line.get("step") for line in lines}


def test_the_manifest_says_what_was_done_with_what(enhance: Enhance, tmp_path: Path) -> None:
    source = make(tmp_path / "clip.mp4", Clip(frames=12, sound="aac"))
    result = enhance(source)
    manifest = json.loads(Path(result["manifest"]).read_text())
    output = Path(result["output"])
    assert manifest["source"]["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert manifest["output"]["sha256"] == hashlib.sha256(output.read_bytes()).hexdigest()
    assert manifest["schema_version"] == 2
    assert (manifest["model"]["name"], manifest["model"]["version"]) == ("bicubic", "1")
    assert [stream["fate"] for stream in manifest["streams"]] == ["enhanced", "kept"]
    assert manifest["verdict"]["decision"] == "passed"
    assert sum(chunk["frames"] for chunk in manifest["chunks"]["ranges"]) == 12
    assert {"plan", "prepare_model", "upscale", "assemble", "assess", "gate", "deliver"} <= manifest["timings_s"].keys()
    assert {"av", "openvino", "libavcodec"} <= manifest["software"].keys()


def test_the_report_holds_pictures_and_loads_nothing(enhance: Enhance, tmp_path: Path) -> None:
    result = enhance(make(tmp_path / "clip.mp4", Clip(frames=30)))
    page = Path(result["report"]).read_text()
    sources = _sources(page)
    assert len(sources) >= 3
    assert all(source.startswith("data:image/") for source in sources)
    assert "<svg" in page


def _sources(page: str) -> list[str]:
    found: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.extend(
                value or "" for name, value in attrs if name in ("src", "href") and tag in ("img", "link", "script")
            )

    Reader().feed(page)
    return found
