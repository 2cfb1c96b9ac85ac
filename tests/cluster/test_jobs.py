"""The product on a cluster: which worker does what, what a killed one costs, where its logs are."""

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests import clips
from tests.cluster.stack import Cluster, until
from tests.cluster.work import submit

pytestmark = pytest.mark.cluster

ON_GPU = {"prepare_model", "upscale"}


def completed(cluster: Cluster, job_id: str) -> list[dict[str, Any]]:
    """Wait for the end of a job, and give its tasks."""
    until(lambda: cluster.client.run_state(job_id) in ("success", "failed"), f"{job_id} ends", 600)
    tasks = cluster.client.tasks(job_id)
    assert cluster.client.run_state(job_id) == "success", [(task["task_id"], task["state"]) for task in tasks]
    return tasks


def output_of(cluster: Cluster, job_id: str, folder: Path) -> Path:
    path = folder / f"{job_id}-output.mp4"
    cluster.aws("s3").download_file("enhanced", f"{job_id}.mp4", str(path))
    return path


def sound_of(path: Path) -> bytes:
    with av.open(str(path)) as container:
        return b"".join(bytes(packet) for packet in container.demux(audio=0))


def done_and_at_hand(cluster: Cluster, job_id: str) -> tuple[set[Path], set[int]]:
    """Markers of chunks that are done, and the numbers of those whose first frames are."""
    scratch = cluster.folder / "scratch"
    done = set((scratch / "chunks").glob("*/0*.json"))
    begun = {int(path.stem) for path in (scratch / "jobs" / job_id / "progress").glob("[0-9]*.json")}
    return done, begun - {int(path.stem) for path in done}


def test_frames_are_enlarged_by_the_gpu_worker_and_all_else_is_done_by_the_other(
    cluster: Cluster, film: Path, enlarged: str, tmp_path: Path
) -> None:
    tasks = completed(cluster, enlarged)
    did = {(task["task_id"], task["hostname"]) for task in tasks if task["state"] == "success"}
    assert {task for task, worker in did if worker == "worker-gpu"} == ON_GPU
    assert {"validate", "plan", "assemble", "assess", "deliver", "report"} <= {
        task for task, worker in did if worker == "worker-cpu"
    }
    assert {worker for _, worker in did} == {"worker-gpu", "worker-cpu"}
    assert sum(task["task_id"] == "upscale" for task in tasks) > 1, "one chunk proves little"
    output = output_of(cluster, enlarged, tmp_path)
    assert clips.pts_of(output) == clips.pts_of(film)
    assert sound_of(output) == sound_of(film)
    for number in (0, 13, 47):
        small, large = clips.luma(film, number).astype(float), clips.luma(output, number).astype(float)
        assert large.shape == (192, 320)
        shrunk = large.reshape(96, 2, 160, 2).mean(axis=(1, 3))
        assert np.abs(shrunk - small).mean() < 3.0


def logs_of(cluster: Cluster, job_id: str) -> list[str]:
    pages = cluster.aws("s3").get_paginator("list_objects_v2").paginate(Bucket="logs")
    return [row["Key"] for page in pages for row in page.get("Contents", ()) if f"run_id={job_id}/" in row["Key"]]


def test_the_logs_of_a_job_are_in_the_bucket_and_are_shown_though_the_workers_files_are_gone(
    cluster: Cluster, enlarged: str
) -> None:
    tasks = [task for task in completed(cluster, enlarged) if task["state"] == "success"]
    until(lambda: len(logs_of(cluster, enlarged)) >= len(tasks), "the last log is in the bucket")
    for path in (cluster.folder / "homes").glob(f"*/logs/dag_id=upscale_video/run_id={enlarged}/**/*.log"):
        path.unlink()
    for task in tasks:
        path = f"dags/upscale_video/dagRuns/{enlarged}/taskInstances/{task['task_id']}/logs/{task['try_number']}"
        shown = json.dumps(cluster.ask("GET", path, params={"map_index": task["map_index"], "full_content": True}))
        place = f"task_id={task['task_id']}/" + (f"map_index={task['map_index']}/" if task["map_index"] >= 0 else "")
        assert f"s3://logs/video-sr/dag_id=upscale_video/run_id={enlarged}/{place}attempt=" in shown
        assert "upscale_video.py" in shown, "its lines, not their address alone"


def test_a_gpu_worker_that_loses_power_costs_the_chunk_at_hand_and_no_byte(cluster: Cluster, tmp_path: Path) -> None:
    film = clips.make(tmp_path / "long.mp4", frames=96, width=960, height=540, options={"g": "24"})
    wanted = {"codec": "hevc", "preset": "medium"}
    submit(cluster, "job-calm", film, **wanted)
    completed(cluster, "job-calm")
    submit(cluster, "job-struck", film, **wanted)
    until(lambda: all(done_and_at_hand(cluster, "job-struck")), "a chunk is done and another is at hand")
    cluster.kill("worker-gpu")
    assert cluster.processes("worker-gpu") == []
    done, at_hand = done_and_at_hand(cluster, "job-struck")
    assert at_hand, "the chunk was done before its worker died"
    before = {path: path.stat().st_mtime_ns for path in done}
    cluster.start("worker-gpu")
    until(lambda: len(done_and_at_hand(cluster, "job-struck")[0]) > len(done), "the next chunk is done")
    assert {path: path.stat().st_mtime_ns for path in done} == before
    tries = {
        task["map_index"]: task["try_number"]
        for task in completed(cluster, "job-struck")
        if task["task_id"] == "upscale"
    }
    assert {index for index, number in tries.items() if number > 1} == at_hand
    calm, struck = (output_of(cluster, job, tmp_path).read_bytes() for job in ("job-calm", "job-struck"))
    assert struck == calm
