"""One job through Airflow, from the request to where its files are. Leaves the stack's life to `stack`."""

import re
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from sr_airflow.embedded.home import DAG_ID, HomeSettings
from sr_tasks.config import REPOSITORY, Settings
from sr_tasks.errors import SrError
from sr_tasks.jobs.spec import JobSpec, job_spec

Notice = Callable[[str], None]

_STOP_TIMEOUT_S = 15.0


def run(values: Mapping[str, Any], home: HomeSettings, settings: Settings, notice: Notice) -> int:
    """Enhance one video; returns the exit code. Without a `source` a sample is made and enlarged.

    Raises UsageError and InputRefused before anything is started, AirflowUnavailable if Airflow does not run.
    """
    spec = accepted(job_spec(values if values.get("source") else _sample(values, notice)), settings)
    job_id = new_job_id(spec)

    from sr_airflow.embedded import stack, watch

    with stack.borrowed(home, settings, notice) as borrowed:
        client = borrowed.client()
        job = watch.Job(
            client=client,
            job_id=job_id,
            workdir=Path(borrowed.state.workdir),
            is_airflow_alive=borrowed.state.is_alive,
        )
        try:
            client.trigger(job_id, spec.model_dump(mode="json"))
            notice(f"Job {job_id}: {borrowed.state.url}/dags/{DAG_ID}/runs/{job_id}")
            error = watch.until_ended(job, sys.stderr)
            log = job.log_of_failure(home.log_dir) if error else None
        except BaseException:
            _cancel(job)
            raise
        finally:
            client.close()
    if error is not None:
        _show_failure(error, log, notice)
        return error.exit_code
    for name, uri in job.delivered().items():
        print(f"{name:<9} {_shown(uri)}")
    return 0


def accepted(spec: JobSpec, settings: Settings) -> JobSpec:
    """The request with absolute addresses, once it is sure that nothing speaks against it yet.

    Raises UsageError and InputRefused errors; leaves nothing behind.
    """
    from sr_tasks.steps import validate

    validate.check(spec, settings)
    source, output = validate.locations(spec, settings)
    return spec.model_copy(update={"source": source.uri, "output": output.uri})


def new_job_id(spec: JobSpec) -> str:
    """A run id that tells people what it is: `clip-x2-20261120T101530-ab12`."""
    stem = PurePosixPath(unquote(urlsplit(spec.source).path)).stem
    slug = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:40] or "video"
    return f"{slug}-x{spec.scale}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"


def _sample(values: Mapping[str, Any], notice: Notice) -> dict[str, Any]:
    """Values that ask for a clip made here to be enlarged, in place of an earlier one."""
    from sr_tasks.media import sample

    source = REPOSITORY / "out" / "sample.mp4"
    source.parent.mkdir(exist_ok=True)
    notice(f"No INPUT given: making a sample clip, {source}")
    sample.render(source)
    output = source.with_name(f"sample_x{values.get('scale', 2)}.mp4")
    return {"output": str(output), **values, "source": str(source), "overwrite": True}


def _cancel(job: Any) -> None:
    """Stop the job, if it was begun, and wait until no task of it runs."""
    try:
        if not job.client.cancel(job.job_id):
            return
        end = time.monotonic() + _STOP_TIMEOUT_S
        while time.monotonic() < end and not job.client.is_idle(job.job_id):
            time.sleep(0.3)
        # The first call left the teardown to run and with it the run's state open.
        job.client.cancel(job.job_id)
    except SrError as exc:
        print(f"The job could not be cancelled: {exc}", file=sys.stderr)


def _show_failure(error: SrError, log: Path | None, notice: Notice) -> None:
    notice(f"{error.code}: {error.message}")
    if error.hint:
        notice(error.hint)
    if log is not None:
        notice(f"log: {log}")


def _shown(uri: str) -> str:
    """A local file as a path, anything else as it is."""
    parts = urlsplit(uri)
    return unquote(parts.path) if parts.scheme == "file" else uri
