"""Settings: read once from SR_* variables at the edge, frozen, passed down. No other module reads the environment."""

import difflib
import os
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final

from sr_tasks.errors import UsageError

READ_ELSEWHERE: Final = frozenset(
    {
        "SR_AIRFLOW_HOME", "SR_AIRFLOW_PORT", "SR_REPO",  # the launcher and the Dag folder
        "SR_BASE_URL", "SR_STACK", "SR_HEALTH_CMDLINE", "SR_IMAGE_PREFIX", "SR_VERSION", "SR_GPU_SLOTS",
        "SR_CPU_CONCURRENCY", "SR_CPU_QUEUES", "SR_CPU_WORKER_CPUS", "SR_CPU_WORKER_MEMORY",
        "SR_GPU_WORKER_CPUS", "SR_GPU_WORKER_MEMORY",  # containers
        "SR_FORBID_SKIPS", "SR_TEST_CLUSTER",  # tests
    }
)  # fmt: skip
"""Variables of this project that are no settings of a job."""

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every knob of a deployment. The variable of a field is its name in capitals behind `SR_`."""

    workdir: Path = field(default_factory=lambda: Path(tempfile.gettempdir()) / "sr_tasks")
    """Scratch: job folders, chunks, fetched sources, prepared models."""
    models_dir: Path = REPOSITORY / "include" / "models"
    allowed_roots: tuple[Path, ...] = (Path("/"),)
    """Local folders that sources and outputs may lie in (`:` between them)."""
    allowed_buckets: tuple[str, ...] = ("*",)
    """Buckets that may be read and written (`:` between them, `*` for any)."""
    s3_endpoint_url: str = ""
    """Address of an S3-compatible server; empty for AWS."""

    allowed_licences: tuple[str, ...] = ("*",)
    """Licences of models that jobs may use, as SPDX expressions (`:` between them, `*` for any)."""
    max_weights_bytes: int = 4 << 30
    """Largest file that may be added as a model."""
    mlflow_tracking_uri: str = ""
    """Address (http or https) of the MLflow server that models may be added from; empty for none."""
    store_uri: str = ""
    """A folder or `s3://bucket/prefix` that machines share prepared models through; empty for none."""
    cache_max_bytes: int = 20 << 30
    """Prepared models and fetched weights kept on this machine; those unused longest go first."""
    cache_max_age_days: float = 90.0
    state_dir: Path = field(default_factory=lambda: Path(tempfile.gettempdir()) / "sr_tasks" / "state")
    """What accumulates about the versions of models in use; shared by all machines."""
    lpips_path: str = ""
    """An ONNX file that measures LPIPS on the golden set of releases; empty for none."""
    arrivals_file: str = ""
    """A YAML file that says which prefixes become jobs by themselves; empty for none. See docs/arrivals.md."""
    amqp_url: str = field(default="", repr=False)
    """Address of RabbitMQ that jobs are taken from, as amqp://user:password@host/; empty for none."""
    amqp_queue: str = "sr.jobs"
    """The queue there. What is no job goes to the same name with `.dead` behind it."""
    jobs_at_once: int = 4
    """Jobs that may be at work at a time; the others wait for their turn. The same on all machines."""
    tenant_limits: tuple[str, ...] = ()
    """How many of them may be of one tenant, as `acme=1` (`:` between several, `*=3` for those not named)."""
    tile_px: int = 0
    """Side of tiles in source px; 0 for what memory and cache suggest."""

    threads: int = 0
    """CPU threads for one job; 0 for all there are."""
    backend: str = "auto"
    """auto (tensorrt, cuda, openvino, onnxruntime: the first that this machine has) or one of them."""
    precision: str = "auto"
    """auto (fp16 on a GPU, bf16 where the CPU has it), fp32, fp16, bf16 or int8."""
    gpu_wait_s: float = 600.0
    """How long a step waits for a GPU that no other process has, before it is tried again."""

    max_pixels: int = 7680 * 4320
    """Largest source frame."""
    max_output_pixels: int = 16384 * 8640
    max_duration_s: float = 24 * 3600.0
    max_source_bytes: int = 1 << 40
    max_task_bytes: int = 0
    """Memory that a task of a job may have for itself, GPU steps excepted; 0 for three quarters of what there is."""
    min_free_bytes: int = 512 << 20
    """A job stops, to be tried again, before its scratch disk has less than that left."""
    max_damaged_share: float = 0.02
    """Share of frames that may be repeated because the source is damaged there."""
    chunk_target_s: float = 60.0
    """How many seconds of work one chunk should be."""
    step_limit_factor: float = 20.0
    """How many times its estimate the first try of a step may take; each further try may take twice as long."""
    step_limit_minutes: float = 15.0
    """What it may take in any case."""

    review_timeout_h: float = 24.0
    """How long a doubtful output waits for a person."""
    review_default: str = "reject"
    """What happens to one that nobody decided in time: reject or approve."""
    review_reminder_h: float = 4.0
    """How long before its time is over reviewers are told again of one that still waits; 0 for never."""
    keep_days: float = 7.0
    """How long `purge` leaves what jobs that ended left in scratch."""
    keep_bytes: int = 200 << 30
    """How much of it `purge` leaves; the oldest goes first."""
    purge_confirmed: bool = False
    """Whether the nightly purge removes what it finds, instead of only saying so."""

    statsd_host: str = ""
    """Where StatsD listens; empty for none."""
    statsd_port: int = 8125
    statsd_prefix: str = "sr"
    otlp_endpoint: str = ""
    """Address (http or https) of an OpenTelemetry collector that traces go to; empty for none."""
    device_hour_cost: float = 0.0
    """What an hour of a device costs, in whatever currency; for the metrics of cost."""
    alert_slack: str = ""
    """Airflow connection (of type slackwebhook) that alerts go to; empty for none."""
    alert_email: tuple[str, ...] = ()
    """Addresses that alerts go to (`:` between them)."""
    alert_email_connection: str = "smtp_default"
    """Airflow connection (of type smtp) that mails are sent through."""
    review_slack: str = ""
    """Like alert_slack, for what a person has to decide; with review_email empty too, that goes where alerts go."""
    review_email: tuple[str, ...] = ()
    alert_quiet_minutes: float = 15.0
    """How long alerts with the same cause and model version are held back and counted after the first of them."""
    deadline_high_minutes: float = 0.0
    """How long after its acceptance a job of high priority is due, unless it says so itself; 0 for never."""
    deadline_normal_minutes: float = 0.0
    deadline_low_minutes: float = 0.0
    deadline_cancels: bool = False
    """Whether a job that missed its deadline is cancelled before its next step."""
    log_json: bool = False
    log_level: str = "INFO"

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> "Settings":
        """Read the SR_* variables. Raises UsageError for a value that does not parse or a variable nobody reads."""
        env = os.environ if env is None else env
        values: dict[str, object] = {}
        known = {f"SR_{f.name.upper()}": f for f in fields(cls)}
        _refuse_unknown(env, known)
        for name, f in known.items():
            if name in env:
                values[f.name] = _parse(name, env[name], getattr(cls(), f.name))
        return cls(**values)  # type: ignore[arg-type]

    @property
    def worker_threads(self) -> int:
        return self.threads or len(os.sched_getaffinity(0))


def _refuse_unknown(env: Mapping[str, str], known: Collection[str]) -> None:
    for name in sorted(env):
        if name.startswith("SR_") and name not in known and name not in READ_ELSEWHERE:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]}?" if near else "README.md lists the settings."
            raise UsageError(f"There is no setting {name}.", hint=hint)


def _parse(name: str, text: str, like: object) -> object:
    try:
        if isinstance(like, bool):
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}[
                text.lower()
            ]
        if isinstance(like, int):
            return int(text)
        if isinstance(like, float):
            return float(text)
        if isinstance(like, Path):
            return Path(text)
        if isinstance(like, tuple):
            parts = [part for part in text.split(":") if part]
            return tuple(Path(part) for part in parts) if like and isinstance(like[0], Path) else tuple(parts)
    except (KeyError, ValueError) as exc:
        raise UsageError(
            f"{name}={text!r} cannot be read as {type(like).__name__}.", hint=f"An example: {name}={like}."
        ) from exc
    return text
