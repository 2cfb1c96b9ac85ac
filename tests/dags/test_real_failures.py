"""Failures that are caused, not raised: real steps on real files, and what people are told of them."""

import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sr_tasks.config import REPOSITORY
from sr_tasks.storage.transfer import free_bytes
from tests.clips import Clip, make, wipe_packet
from tests.dags.jobs import Job
from tests.dags.receivers import Mailbox, StatsD, Webhook, html_of

Patch = pytest.MonkeyPatch
Cause = Callable[[Path, Patch], dict[str, Any]]
"""Makes a source in a folder, and says how the request differs from the usual one."""


def tasks(before: dict[str, Callable[[Path], object]]) -> list[tuple[str, int | None, Callable[[Any], Any]]]:
    """The steps of a job as its Dag has them; what is in `before` happens to the job's folder before a step begins."""
    from sr_tasks.jobs.folder import JobFolder
    from sr_tasks.steps import assemble, assess, deliver, gate, plan, prepare_model, report, upscale, validate

    def body(name: str, run: Callable[[Any], Any]) -> tuple[str, int | None, Callable[[Any], Any]]:
        def work(step: Any) -> None:
            if name in before:
                before[name](JobFolder(step.settings.workdir, step.job_id).path)
            run(step)

        return name, 0 if name == "upscale" else None, work

    steps = {"plan": plan, "prepare_model": prepare_model, "assemble": assemble, "assess": assess, "gate": gate}
    ordered: dict[str, Callable[[Any], Any]] = {
        "validate": lambda step: validate.run(step.spec, step.job_id, step.settings),
        "plan": lambda step: steps["plan"].run(step.job_id, step.settings),
        "prepare_model": lambda step: steps["prepare_model"].run(step.job_id, step.settings),
        "upscale": lambda step: upscale.run(step.job_id, 0, step.settings),
        **{
            name: lambda step, name=name: steps[name].run(step.job_id, step.settings)
            for name in ("assemble", "assess", "gate")
        },
        "deliver": lambda step: deliver.run(step.job_id, step.settings),
        "report": lambda step: report.run(step.job_id, step.settings),
    }
    return [body(name, run) for name, run in ordered.items()]


def clip(folder: Path, name: str = "a.mp4", **changes: Any) -> Path:
    return make(folder / name, Clip(**{"frames": 6, **changes}))


def settings(source: Callable[[Path], Path] = clip, **values: str) -> Cause:
    def cause(folder: Path, patch: Patch) -> dict[str, Any]:
        for name, value in values.items():
            patch.setenv(name, value)
        return {"source": str(source(folder))}

    return cause


def asked(source: Callable[[Path], Path] = clip, **request: Any) -> Cause:
    return lambda folder, patch: {"source": str(source(folder)), **request}


def garbage(folder: Path) -> Path:
    (folder / "a.mp4").write_bytes(bytes(range(256)) * 64)
    return folder / "a.mp4"


def full_disk(folder: Path, patch: Patch) -> dict[str, Any]:
    patch.setattr("sr_tasks.storage.transfer.free_bytes", lambda path: 1000)
    return {"source": str(clip(folder))}


def there(folder: Path, patch: Patch) -> dict[str, Any]:
    (folder / "out.mp4").write_bytes(b"mine")
    return {"source": str(clip(folder))}


def dead_store(folder: Path, patch: Patch) -> dict[str, Any]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    patch.setenv("SR_S3_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    for name, value in {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_MAX_ATTEMPTS": "1"}.items():
        patch.setenv(name, value)
    return {"source": "s3://media/a.mp4"}


def damaged(folder: Path) -> Path:
    path = clip(folder, frames=60, codec="mpeg4", options={"g": "12"}, noise=8)
    for number in range(20, 44):
        wipe_packet(path, number)
    return path


def models(change: Callable[[Path], object]) -> Cause:
    """A registry of its own with bicubic alone, changed."""

    def cause(folder: Path, patch: Patch) -> dict[str, Any]:
        own = folder / "models"
        shutil.copytree(REPOSITORY / "include/models/bicubic", own / "bicubic")
        change(own)
        patch.setenv("SR_MODELS_DIR", str(own))
        return {"source": str(clip(folder))}

    return cause


def strict(own: Path) -> None:
    path = own / "bicubic/1/card.yaml"
    card = yaml.safe_load(path.read_text())
    card["gate"]["global_psnr_min"] = 99.0
    path.write_text(yaml.safe_dump(card))


def lost_chunk(folder: Path) -> None:
    for path in (folder.parents[1] / "chunks").glob("*/*.nut"):
        path.unlink()


def later_source(folder: Path) -> None:
    clip(folder.parents[2] / "in", frames=9)


CAUSED: dict[str, tuple[Cause, str, str]] = {
    "no such file": (asked(lambda folder: folder / "nothing.mp4"), "validate", "INPUT_NOT_FOUND"),
    "no video": (asked(garbage), "validate", "INPUT_INVALID"),
    "alpha that would be lost": (
        asked(lambda folder: clip(folder, "a.mkv", codec="ffv1", pix_fmt="bgra"), strict=True), "validate",
        "INPUT_UNSUPPORTED"),
    "too many pixels": (settings(SR_MAX_PIXELS="1000"), "validate", "INPUT_TOO_LARGE"),
    "a web address": (asked(source=lambda folder: Path("http://h/x")), "validate", "URI_NOT_ALLOWED"),
    "outside the roots": (settings(SR_ALLOWED_ROOTS="/srv/media"), "validate", "URI_NOT_ALLOWED"),
    "pictures that webm does not hold": (
        lambda folder, patch: {"source": str(clip(folder)), "output": str(folder / "out.webm")}, "validate",
        "CONTAINER_MISMATCH"),
    "output that is there": (there, "validate", "TARGET_EXISTS"),
    "output nobody can write": (asked(output="/proc/out.mp4"), "validate", "TARGET_UNWRITABLE"),
    "a disk too small": (full_disk, "validate", "DISK_TOO_SMALL"),
    "a model nobody has": (asked(model="nobody"), "validate", "MODEL_UNKNOWN"),
    "a scale the model has not": (asked(model="compact-x2", scale=1), "validate", "SCALE_UNSUPPORTED"),
    "a licence": (settings(SR_ALLOWED_LICENCES="MIT"), "validate", "LICENCE_NOT_ALLOWED"),
    "routes to nowhere": (models(lambda own: (own / "routing.yaml").write_text("default: nobody\n")), "validate",
                          "ROUTES_INVALID"),
    "an unknown field": (asked(colour="blue"), "validate", "USAGE"),
    "no answer from the store": (dead_store, "validate", "STORAGE_UNAVAILABLE"),
    "another file under its name": (asked(), "plan", "INPUT_CHANGED"),
    "a disk that fills up": (settings(SR_MIN_FREE_BYTES=str(free_bytes(Path("/")) * 9)), "upscale", "DISK_FULL"),
    "damaged frames": (asked(damaged), "validate", "INPUT_DAMAGED"),
    "a chunk that is gone": (asked(), "assemble", "CHUNK_MISSING"),
    "a record that is gone": (asked(), "assess", "INTEGRITY_BROKEN"),
    "too little quality": (models(strict), "gate", "QUALITY_REFUSED"),
}  # fmt: skip
BEFORE: dict[str, dict[str, Callable[[Path], object]]] = {
    "another file under its name": {"plan": later_source},
    "a chunk that is gone": {"assemble": lost_chunk},
    "a record that is gone": {"assess": lambda folder: (folder / "output.json").unlink()},
}
AGAIN = frozenset({"STORAGE_UNAVAILABLE", "DISK_FULL", "CHUNK_MISSING"})


@pytest.mark.parametrize("name", CAUSED)
def test_a_failure_that_is_caused_is_told_once_rightly(
    name: str, alerted: Path, webhook: Webhook, mailbox: Mailbox, statsd: StatsD, monkeypatch: Patch
) -> None:
    cause, step, code = CAUSED[name]
    folder = alerted / "in"
    folder.mkdir()
    monkeypatch.setenv("SR_WORKDIR", str(alerted / "work"))
    request = cause(folder, monkeypatch)
    output = folder / "out.mp4"
    usual = {"output": str(output), "model": "auto" if code == "ROUTES_INVALID" else "bicubic", "preset": "ultrafast"}
    job = Job(tasks=tasks(BEFORE.get(name, {})), conf={**usual, **request})
    assert job.run() == "failed"
    assert list(job.tries)[-1] == step
    assert job.tries[step] == (4 if code in AGAIN else 1)
    (text,), (mail,) = webhook.texts, mailbox.mails
    heading, sentence, *_ = text.splitlines()
    assert f"`{code}` · job 1" in heading
    assert sentence.endswith("."), "a sentence"
    assert f"/runs/job%201/tasks/{step}" in text
    assert sentence.split("'")[0].replace("&amp;", "&") in html_of(mail).replace("&#39;", "'").replace("&amp;", "&")
    assert [name for name in statsd.counters() if name.endswith(f".{code}") and ".failures." in name] != []
    assert not output.exists() or code == "TARGET_EXISTS"


def test_nothing_is_told_of_a_job_that_ends_well(alerted: Path, webhook: Webhook, monkeypatch: Patch) -> None:
    """By the same steps as those that fail."""
    folder = alerted / "in"
    folder.mkdir()
    monkeypatch.setenv("SR_WORKDIR", str(alerted / "work"))
    conf = {"source": str(clip(folder)), "output": str(folder / "out.mp4"), "model": "bicubic", "preset": "ultrafast"}
    assert Job(tasks=tasks({}), conf=conf).run() == "success"
    assert (folder / "out.mp4").is_file()
    assert webhook.texts == []
