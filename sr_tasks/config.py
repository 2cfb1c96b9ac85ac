"""Settings: read once from SR_* variables at the edge, frozen, passed down. No other module reads the environment."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sr_tasks.environment import (
    Amount,
    Count,
    Number,
    Paths,
    Port,
    PositiveAmount,
    Share,
    Switch,
    Words,
    read,
    refuse_unknown,
    variables_of,
)

READ_ELSEWHERE: Final[Mapping[str, str]] = {
    "SR_AIRFLOW_HOME": "launcher: where the Airflow of one machine keeps its state; `.airflow` beside the Makefile",
    "SR_AIRFLOW_PORT": "launcher: port of its web page; 8080, or a free one if that is in use",
    "SR_GPU_SLOTS": "launcher and containers: how many chunks are enlarged at a time; 1",
    "SR_REPO": "airflow.cfg: where the Dags lie; the launcher and the images set it",
    "SR_STACK": "launcher: marks the processes of its Airflow",
    "SR_BASE_URL": "containers: address of the web page",
    "SR_HEALTH_CMDLINE": "containers: the process that a health check looks for",
    "SR_IMAGE_PREFIX": "containers: what the names of the images begin with",
    "SR_VERSION": "containers: tag of the images",
    "SR_CPU_CONCURRENCY": "containers: tasks at a time of a CPU worker",
    "SR_CPU_QUEUES": "containers: queues that a CPU worker serves",
    "SR_CPU_WORKER_CPUS": "containers: cores of a CPU worker",
    "SR_CPU_WORKER_MEMORY": "containers: memory of a CPU worker",
    "SR_GPU_WORKER_CPUS": "containers: cores of a GPU worker",
    "SR_GPU_WORKER_MEMORY": "containers: memory of a GPU worker",
    "SR_FORBID_SKIPS": "tests: a test that is skipped fails",
    "SR_TEST_CLUSTER": "tests: where the cluster of the tests runs",
}
"""Variables of this project that are no settings of a job, with who reads them and what for."""

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every knob of a deployment. The variable of a field is its name in capitals behind `SR_`.

    Ranges hold for what is read from the environment. docs/settings.md is made of these fields and the texts below
    them.
    """

    workdir: Path = field(default_factory=lambda: Path(tempfile.gettempdir()) / "sr_tasks")
    """Scratch: job folders, chunks, fetched sources, prepared models."""
    models_dir: Path = REPOSITORY / "include" / "models"
    """The registry: models, their versions, recipes and routes."""
    allowed_roots: Paths = (Path("/"),)
    """Local folders that sources and outputs may lie in (`:` between them)."""
    allowed_buckets: Words = ("*",)
    """Buckets that may be read and written (`:` between them, `*` for any)."""
    s3_endpoint_url: str = ""
    """Address of an S3-compatible server; empty for AWS."""

    allowed_licences: Words = ("*",)
    """Licences of models that jobs may use, as SPDX expressions (`:` between them, `*` for any)."""
    max_weights_bytes: Number = 4 << 30
    """Largest file that may be added as a model."""
    mlflow_tracking_uri: str = ""
    """Address (http or https) of the MLflow server that models may be added from; empty for none."""
    store_uri: str = ""
    """A folder or `s3://bucket/prefix` that machines share prepared models through; empty for none."""
    cache_max_bytes: Count = 20 << 30
    """Prepared models and fetched weights kept on this machine; those unused longest go first."""
    cache_max_age_days: Amount = 90.0
    """How long those may lie unused."""
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
    jobs_at_once: Number = 4
    """Jobs that may be at work at a time; the others wait for their turn. The same on all machines."""
    max_open_jobs: Count = 0
    """Jobs that may wait or run before the REST API takes no more (429); 0 for any number."""
    tenant_limits: Words = ()
    """How many of them may be of one tenant, as `acme=1` (`:` between several, `*=3` for those not named)."""
    tenant_users: Words = ()
    """Of which tenant the jobs of a user of the REST API are, as `anna=acme` (`:` between several)."""
    tenant_prefix: str = ""
    """Where the files of a tenant lie, as `s3://videos/{tenant}` or `/srv/{tenant}`. If set, tenants are kept apart in
    the REST API: people see and change jobs of their own tenant alone, with files below this. Empty for no isolation.
    """
    tile_px: Count = 0
    """Side of tiles in source px; 0 for what memory and cache suggest."""

    threads: Count = 0
    """CPU threads for one job; 0 for all there are."""
    backend: str = "auto"
    """auto (tensorrt, cuda, openvino, onnxruntime: the first that this machine has) or one of them."""
    precision: str = "auto"
    """auto (fp16 on a GPU, bf16 where the CPU has it), fp32, fp16, bf16 or int8."""
    gpu_wait_s: Amount = 600.0
    """How long a step waits for a GPU that no other process has, before it is tried again."""

    max_pixels: Number = 7680 * 4320
    """Largest source frame."""
    max_output_pixels: Number = 16384 * 8640
    """Largest frame of an output."""
    max_duration_s: PositiveAmount = 24 * 3600.0
    """Longest source."""
    max_source_bytes: Number = 1 << 40
    """Largest source file."""
    max_task_bytes: Count = 0
    """Memory that a task of a job may have for itself, GPU steps excepted; 0 for three quarters of what there is."""
    min_free_bytes: Count = 512 << 20
    """A job stops, to be tried again, before its scratch disk has less than that left."""
    max_damaged_share: Share = 0.02
    """Share of frames that may be repeated because the source is damaged there."""
    chunk_target_s: PositiveAmount = 60.0
    """How many seconds of work one chunk should be."""
    step_limit_factor: PositiveAmount = 20.0
    """How many times its estimate the first try of a step may take; each further try may take twice as long."""
    step_limit_minutes: Amount = 15.0
    """What it may take in any case."""

    review_timeout_h: PositiveAmount = 24.0
    """How long a doubtful output waits for a person."""
    review_default: str = "reject"
    """What happens to one that nobody decided in time: reject or approve."""
    review_reminder_h: Amount = 4.0
    """How long before its time is over reviewers are told again of one that still waits; 0 for never."""
    keep_days: Amount = 7.0
    """How long `purge` leaves what jobs that ended left in scratch."""
    keep_bytes: Count = 200 << 30
    """How much of it `purge` leaves; the oldest goes first."""
    purge_confirmed: Switch = False
    """Whether the nightly purge removes what it finds, instead of only saying so."""

    statsd_host: str = ""
    """Where StatsD listens; empty for none."""
    statsd_port: Port = 8125
    """Its port."""
    statsd_prefix: str = "sr"
    """What the name of every metric begins with."""
    otlp_endpoint: str = ""
    """Address (http or https) of an OpenTelemetry collector that traces go to; empty for none."""
    device_hour_cost: Amount = 0.0
    """What an hour of a device costs, in whatever currency; for the metrics of cost."""
    alert_slack: str = ""
    """Airflow connection (of type slackwebhook) that alerts go to; empty for none."""
    alert_email: Words = ()
    """Addresses that alerts go to (`:` between them)."""
    alert_email_connection: str = "smtp_default"
    """Airflow connection (of type smtp) that mails are sent through."""
    review_slack: str = ""
    """Like alert_slack, for what a person has to decide; with review_email empty too, that goes where alerts go."""
    review_email: Words = ()
    """Like alert_email, for what a person has to decide."""
    done_slack: str = ""
    """Like alert_slack, for jobs that are done, with links to output and report; empty for none."""
    done_email: Words = ()
    """Like alert_email, for jobs that are done; empty for none."""
    alert_quiet_minutes: Amount = 15.0
    """How long alerts with the same cause and model version are held back and counted after the first of them."""
    deadline_high_minutes: Amount = 0.0
    """How long after its acceptance a job of high priority is due, unless it says so itself; 0 for never."""
    deadline_normal_minutes: Amount = 0.0
    """The same of normal priority."""
    deadline_low_minutes: Amount = 0.0
    """The same of low priority."""
    deadline_cancels: Switch = False
    """Whether a job that missed its deadline is cancelled before its next step."""
    log_json: Switch = False
    """Whether the log is JSON, one object a line."""
    log_level: str = "INFO"
    """The least level that is logged: TRACE, DEBUG, INFO, WARNING, ERROR or CRITICAL."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> "Settings":
        """Read the SR_* variables. Raises UsageError for a value that is not accepted or a variable nobody reads."""
        env = os.environ if env is None else env
        refuse_unknown(env, variables_of(cls), READ_ELSEWHERE)
        return read(cls, env)

    @property
    def worker_threads(self) -> int:
        return self.threads or len(os.sched_getaffinity(0))


GROUPS: Final[Mapping[str, str]] = {
    "Files": "workdir",
    "Models": "allowed_licences",
    "Arrivals and whose turn it is": "arrivals_file",
    "Speed": "tile_px",
    "Limits": "max_pixels",
    "Review": "review_timeout_h",
    "Scratch": "keep_days",
    "Metrics, traces and alerts": "statsd_host",
    "Deadlines": "deadline_high_minutes",
    "Logs": "log_json",
}
"""Headings for the settings, each with the first field below it."""
