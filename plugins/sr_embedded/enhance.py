"""One job through Airflow, from the request to where its files are. Leaves the stack's life to `stack`."""

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from sr_embedded.home import HomeSettings
from sr_tasks.config import REPOSITORY, Settings
from sr_tasks.errors import IntegrityBroken, SrError
from sr_tasks.jobs.ids import new_job_id
from sr_tasks.jobs.spec import JobSpec, job_spec
from sr_tasks.jobs.status import JOB_DAG
from sr_tasks.jobs.view import JobView
from sr_tasks.records.beside import BESIDE

Notice = Callable[[str], None]

_STOP_TIMEOUT_S = 120.0
"""How long a launcher that was interrupted waits for its job to end, on a machine that is very busy."""
ASK_AGAIN_S = 5.0
"""After this time with a task still at work, Airflow is asked again to stop the job."""


def run(values: Mapping[str, Any], home: HomeSettings, settings: Settings, notice: Notice) -> int:
    """Enhance one video; returns the exit code. Without a `source` a sample is made and enlarged.

    Raises UsageError and InputRefused before anything is started, AirflowUnavailable if Airflow does not run.
    """
    spec = accepted(job_spec(values if values.get("source") else _sample(values, notice)), settings)
    job_id = new_job_id(spec)

    from sr_embedded import stack, watch

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
            notice(f"Job {job_id}: {borrowed.state.url}/dags/{JOB_DAG}/runs/{job_id}")
            ended = watch.until_ended(job, sys.stderr)
            error = job.error(ended)
            log = job.log_of_failure(home.log_dir) if error else None
        except BaseException:
            cancel(job)
            raise
        finally:
            client.close()
    if error is not None:
        _show_failure(error, log, notice)
        return error.exit_code
    _show_delivery(ended)
    return 0


def accepted(spec: JobSpec, settings: Settings) -> JobSpec:
    """The request with absolute addresses, once it is sure that nothing speaks against it yet.

    Raises UsageError and InputRefused errors; leaves nothing behind.
    """
    from sr_tasks.steps.shared.inspection import inspect_ahead
    from sr_tasks.steps.shared.locations import locations

    inspect_ahead(spec, settings)
    source, output = locations(spec, settings)
    return spec.model_copy(update={"source": source.uri, "output": output.uri})


def _sample(values: Mapping[str, Any], notice: Notice) -> dict[str, Any]:
    """Values that ask for a clip made here to be enlarged, in place of an earlier one."""
    from sr_tasks.media import sample

    source = REPOSITORY / "out" / "sample.mp4"
    source.parent.mkdir(exist_ok=True)
    notice(f"No INPUT given: making a sample clip, {source}")
    sample.render(source)
    size = values.get("size") or f"x{values.get('scale', 2)}"
    output = source.with_name(f"sample_{size}.mp4")
    return {"output": str(output), **values, "source": str(source), "overwrite": True}


def cancel(job: Any) -> None:
    """Stop the job, if it was begun, and wait until its run has ended.

    One request does not do it. Airflow leaves the teardown to run, and the run's state open until it has. A task that
    its scheduler starts in the same moment can escape the request: it is asked for again as long as a task runs.
    """
    end = time.monotonic() + _STOP_TIMEOUT_S
    try:
        while job.is_airflow_alive() and job.client.cancel(job.job_id):
            if job.client.has_ended(job.job_id):
                return
            if time.monotonic() > end:
                print(f"The job is still being stopped after {_STOP_TIMEOUT_S:.0f} s.", file=sys.stderr)
                return
            asked = time.monotonic()
            while time.monotonic() - asked < ASK_AGAIN_S and not job.client.is_idle(job.job_id):
                time.sleep(0.3)
    except SrError as exc:
        print(f"The job could not be cancelled: {exc}", file=sys.stderr)


def _show_delivery(ended: JobView) -> None:
    """Print the addresses of all that was delivered. Raises IntegrityBroken if the job left none."""
    if ended.delivery is None:
        raise IntegrityBroken(
            f"The job {ended.job_id} is done and does not say where its output is.",
            hint="Its folder was removed in the same moment: the output is where it was asked for.",
        )
    for name in ("output", "report", "manifest", *BESIDE):
        if address := getattr(ended.delivery, name):
            print(f"{name.replace('_', ' '):<9} {_shown(address)}")


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
