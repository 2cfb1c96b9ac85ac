"""Five hundred files at once, while processes die. The last of this folder's tests: it leaves their jobs waiting."""

from typing import Any

import pytest

from tests.cluster.stack import Cluster, until
from tests.cluster.work import tell_the_queue

pytestmark = pytest.mark.cluster

RUNS = "dags/upscale_video/dagRuns"
COUNT = 500


def run_count(cluster: Cluster) -> int:
    return int(cluster.ask("GET", RUNS, params={"limit": 1})["total_entries"])


def listed(cluster: Cluster) -> dict[str, Any]:
    """Have the prefix listed, and give what came of it."""
    run = cluster.ask("POST", "dags/on_upload/dagRuns", json={"logical_date": None})["dag_run_id"]
    until(lambda: cluster.ask("GET", f"dags/on_upload/dagRuns/{run}")["state"] == "success", "the listing ends")
    path = f"dags/on_upload/dagRuns/{run}/taskInstances/accept/xcomEntries/return_value"
    return dict(cluster.ask("GET", path)["value"])


def test_five_hundred_files_at_once_are_one_job_each_though_scheduler_and_triggerer_are_killed(
    cluster: Cluster,
) -> None:
    """Jobs are only accepted here, not worked on: the Dag of the product is paused."""
    cluster.ask("PATCH", "dags/upscale_video", json={"is_paused": True})
    tell_the_queue(cluster)
    before, s3 = run_count(cluster), cluster.aws("s3")
    for number in range(COUNT):
        s3.put_object(Bucket="videos", Key=f"in/many/{number:03}.mp4", Body=b"film")
    until(lambda: run_count(cluster) > before + 20, "the first are accepted")
    for name in ("scheduler", "triggerer"):
        cluster.kill(name)
    assert run_count(cluster) < before + COUNT, "all were accepted before anything was killed"
    for name in ("scheduler", "triggerer"):
        cluster.start(name)
    until(lambda: run_count(cluster) >= before + COUNT, "all are accepted", 600)
    assert listed(cluster)["accepted"] == 0
    sources = [run["conf"]["source"] for run in cluster.client.pages(f"/api/v2/{RUNS}", "dag_runs")]
    assert sorted(source for source in sources if "/in/many/" in source) == [
        f"s3://videos/in/many/{number:03}.mp4" for number in range(COUNT)
    ]
