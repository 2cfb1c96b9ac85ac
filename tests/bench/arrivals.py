"""How soon an upload is an accepted job: through a bucket's events, on a cluster of this machine. Run on request:
`make bench ARGS="--only arrivals"`."""

import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.setting import Table
from tests.cluster.stack import Cluster, running, until
from tests.cluster.work import ARRIVALS, tell_the_queue

RUNS = "dags/upscale_video/dagRuns"
PAUSE_S = 2.0
MOST_S = 5.0


def measure(table: Table, uploads: int) -> None:
    """Listings run beside it every minute, as they do by default; jobs are only accepted, not worked on."""
    with tempfile.TemporaryDirectory(prefix="sr-bench-") as folder, running(Path(folder), ARRIVALS) as cluster:
        took = accepted_after_s(cluster, uploads)
    p95 = took[min(len(took) - 1, round(0.95 * len(took)))]
    table.add(
        f"upload to accepted job, {uploads} uploads {PAUSE_S:g} s apart",
        f"median {statistics.median(took):.1f} s, p95 {p95:.1f} s, longest {took[-1]:.1f} s",
        f"p95 <= {MOST_S:g} s",
        p95 <= MOST_S,
    )


def accepted_after_s(cluster: Cluster, uploads: int) -> list[float]:
    """In ascending order. The first uploads, which meet processes that have done nothing yet, do not count."""
    cluster.ask("PATCH", "dags/upscale_video", json={"is_paused": True})
    tell_the_queue(cluster)
    _after_upload(cluster, "warm", 5)
    return sorted(_after_upload(cluster, "in-time", uploads))


def _after_upload(cluster: Cluster, name: str, uploads: int) -> list[float]:
    """Seconds from each upload to the run that was made of it."""
    put: dict[str, datetime] = {}
    for number in range(uploads):
        source = f"s3://videos/in/{name}/{number}.mp4"
        put[source] = datetime.now(UTC)
        cluster.aws("s3").put_object(Bucket="videos", Key=source.removeprefix("s3://videos/"), Body=b"film")
        time.sleep(PAUSE_S)
    accepted: dict[str, datetime] = {}

    def all_are_accepted() -> bool:
        for run in cluster.client.pages(f"/api/v2/{RUNS}", "dag_runs"):
            accepted[run["conf"]["source"]] = datetime.fromisoformat(run["queued_at"])
        return put.keys() <= accepted.keys()

    until(all_are_accepted, "every upload is accepted")
    return [(accepted[source] - at).total_seconds() for source, at in put.items()]
