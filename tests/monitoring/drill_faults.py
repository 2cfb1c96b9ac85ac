"""The faults, one function each: caused for real, seen as the runbook says, mended as the runbook says."""

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import psutil
from sr_embedded.client import Client

from sr_tasks.config import REPOSITORY
from sr_tasks.registry.registry import Registry
from sr_tasks.release.observations import Observation, Observations
from tests.airflow.launcher import long_clip, states
from tests.monitoring.drill_case import Case, Round
from tests.monitoring.drill_rules import FACTOR
from tests.monitoring.drill_world import DISK_BYTES, until

Drill = Callable[[Round], None]


def metrics_gone(drill: Round) -> None:
    world = drill.world
    case = drill.case("SrMetricsGone", "the exporter's process killed")
    world.exporter.kill()
    case.fires()
    (target,) = world.prometheus.get("/api/v1/targets")["activeTargets"]
    case.saw(f"target statsd is {target['health']}: {target['lastError'][-50:]}", target["health"] == "down")
    world.exporter.start()
    case.remedied("exporter started again")
    case.ends()


def release_rolled_back(drill: Round) -> None:
    """As if sixteen jobs of a candidate had been refused, and as many of production delivered."""
    world = drill.world
    for version in ("1", "2"):
        world.card("second", version)
    registry, settings = Registry.of(world.settings), world.settings
    registry.promote("second@1", by="drill")
    registry.put_candidate("second@2", share=0.5, by="drill")
    case = drill.case("SrReleaseRolledBack", "a candidate of which 16 of 16 jobs were refused, 0 of 16 of production")
    for version, code in (("1", ""), ("2", "QUALITY_REFUSED")):
        told = {"name": "second", "version": version, "error_code": code, "at": datetime.now(UTC)}
        for number in range(16):
            Observations(settings.state_dir).put(Observation.model_validate(told | {"job_id": f"{version}-{number}"}))
    run = world.run_dag("watch_releases")
    case.fires()
    shown = world.command("sr_tasks", "models", "show", "second").stdout
    case.saw("`models show` tells of the rollback and why", "rollback" in shown and "failed" in shown)
    log = world.task_log("watch_releases", run, "watch")
    case.saw("log of watch_releases: taken back, with the reason", "second@2 was taken back" in log)
    case.remedied("nothing to do; it is told for an hour")


def dags_broken(drill: Round) -> None:
    world = drill.world
    case = drill.case("AirflowDagsBroken", "a Dag file that imports a module there is not")
    broken = world.dags / "drill_broken.py"
    broken.write_text("from airflow.sdk import dag\nimport a_module_that_is_missing\n", encoding="utf-8")
    case.fires()
    listed = world.command("airflow", "dags", "list-import-errors").stdout
    case.saw("`airflow dags list-import-errors` names the file", "drill_broken" in listed)
    case.saw("and the module", "a_module_that_is" in listed)
    broken.unlink()
    case.remedied("change of dags/ taken back")
    case.ends()


def dag_processor_silent(drill: Round) -> None:
    _component_silent(drill, "AirflowDagProcessorSilent", "dag-processor", "DagProcessorJob")


def triggerer_silent(drill: Round) -> None:
    """Six jobs, of which four are let in at once: the others wait for a turn that the triggerer would give them."""
    world = drill.world

    def a_job_waits_for_its_turn(case: Case) -> None:
        jobs = [world.submit() for _ in range(6)]
        until(lambda: Counter(map(world.client.run_state, jobs))["success"] == 4, "four jobs are done")
        waiting = _states_of("admit", world.client, jobs)["deferred"]
        case.saw("task `admit` of two jobs stays *deferred* though none is at work", waiting == 2)

    _component_silent(drill, "AirflowTriggererSilent", "triggerer", "TriggererJob", a_job_waits_for_its_turn)


def scheduler_silent(drill: Round) -> None:
    _component_silent(drill, "AirflowSchedulerSilent", "scheduler", "SchedulerJob", whole=True)


def _component_silent(
    drill: Round, alert: str, name: str, job: str, effect: Callable[[Case], None] | None = None, *, whole: bool = False
) -> None:
    world, health = drill.world, name.replace("-", "_")
    process = world.component(name)
    case = drill.case(alert, "SIGSTOP: it lives and does nothing")
    process.suspend()
    case.fires()
    if effect:
        effect(case)
    case.sees("monitor/health: unhealthy", lambda: world.health(health) == "unhealthy")
    checked = world.command("airflow", "jobs", "check", "--job-type", job)
    case.saw("`airflow jobs check`: none is alive", "No alive jobs found" in checked.stdout + checked.stderr)
    if whole:
        world.down()
        world.up()
        case.remedied("`make down up`")
    else:
        process.kill()
        case.remedied("killed, so that it was started again")
    until(lambda: world.health(health) == "healthy", f"{name} is healthy again")
    case.ends()


def tasks_lost(drill: Round) -> None:
    world = drill.world
    film = long_clip(world.folder / "film.mp4")
    job = world.submit(source=str(film))
    until(lambda: states(world.client, job).get("upscale", ("", 0))[0] == "running", "the film is upscaled")
    (upscaling,) = [task for task in world.client.tasks(job) if task["task_id"] == "upscale"]
    worker = psutil.Process(upscaling["pid"]).parent()
    assert worker is not None
    case = drill.case("AirflowTasksLost", "SIGKILL of the worker in the middle of a chunk")
    worker.kill()
    case.fires()
    case.saw("the counter of lost tasks", world.prometheus.value("airflow_tasks_lost_total"))
    events = {"dag_id": "upscale_video", "run_id": job}
    log = world.client.request("GET", "/api/v2/eventLogs", params=events).json()["event_logs"]
    case.saw("event *heartbeat timeout*", any("heartbeat timeout" in event["event"] for event in log))
    assert world.ended(job) == {"success"}
    assert states(world.client, job)["upscale"] == ("success", 2)
    case.remedied("nothing to do: tried again by itself, the job was delivered")


def queue(drill: Round) -> None:
    """No slot: a job with a deadline of six seconds stands still, later five more, two of which are not let in."""
    world, client = drill.world, drill.world.client
    world.command("airflow", "pools", "set", "gpu", "0", "devices")
    fault, later = "pool `gpu` set to 0 slots", f"slots given back after {3600 // FACTOR} s"
    missed = drill.case("SrDeadlineMissed", f"{fault}, and a job that was due after 6 s")
    stuck = drill.case("SrQueueStuck", f"{fault}, and one job")
    waits = drill.case("SrQueueWaitsLong", f"{fault}, and six jobs, of which four are let in at a time; {later}")
    slow = drill.case("SrJobsSlow", f"{fault}; {later}")
    began = time.monotonic()
    jobs = [world.submit(priority="high")]
    missed.fires()
    missed.saw("the run goes on all the same", client.run_state(jobs[0]) == "running")
    missed.remedied("slots given back later; it is told for an hour")
    until(lambda: states(client, jobs[0]).get("upscale", ("", 0))[0] == "scheduled", "the chunk waits for a slot")
    stuck.saw("in Airflow: the task is *scheduled*", found=True)
    world.run_dag("watch_queue")
    stuck.fires()
    stuck.saw("sr_tasks_waiting is 1, and no frames", world.prometheus.value("sum(sr_tasks_waiting)") == 1)
    jobs += [world.submit() for _ in range(5)]
    until(lambda: _states_of("admit", client, jobs)["deferred"] == 2, "two jobs are not let in")
    world.run_dag("watch_queue")
    queued = 'sum(sr_queue_jobs{state="queued"})'
    waits.sees("sr_queue_jobs: two jobs wait", lambda: world.prometheus.value(queued) == 2)
    pools = world.command("airflow", "pools", "list").stdout
    stuck.saw("`airflow pools list`: gpu has 0", any(_is_row(row, "gpu", "0") for row in pools.splitlines()))
    while time.monotonic() - began < 3600 / FACTOR + 10:
        time.sleep(1)
    world.command("airflow", "pools", "set", "gpu", "1", "devices")
    stuck.remedied("`airflow pools set gpu 1 devices`")
    for case, seen in ((waits, "sr_queue_seconds"), (slow, "sr_job_seconds")):
        case.fires()
        over = sum(world.prometheus.values(f"{seen}_count").values())
        case.saw(f"{seen} of {over:g} jobs", over)
    assert world.ended(*jobs) == {"success"}
    world.run_dag("watch_queue")
    for case in (waits, slow):
        case.remedied("the queue ran empty once there were slots")
    stuck.ends()


def _states_of(task_id: str, client: Client, jobs: list[str]) -> Counter[str]:
    return Counter(states(client, job).get(task_id, ("", 0))[0] for job in jobs)


def _is_row(row: str, *cells: str) -> bool:
    return [cell.strip() for cell in row.split("|")[: len(cells)]] == list(cells)


def jobs_fail(drill: Round) -> None:
    """The weights of one model are damaged on disk: whoever asks for it fails by the service's fault."""
    world, weights = drill.world, drill.world.models / "compact-x2" / "1" / "compact-x2.onnx"
    fault = "weights of a model damaged on disk, a job every few seconds"
    world.run_dag("watch_queue")
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 0xFF
    weights.write_bytes(data)
    names = ("SrErrorRateHigh", "SrErrorBudgetBurnsFast", "SrErrorBudgetBurns")
    cases = [drill.case(name, fault) for name in names]
    failed: list[str] = []

    def all_fire() -> bool:
        failed.append(world.submit(model="compact-x2"))
        until(lambda: len(world.client.active_runs()) < 3, "jobs end")
        return all(case.has_fired for case in cases)

    until(all_fire, "the alerts of errors fire")
    for case in cases:
        case.fires()
        told = world.prometheus.values("topk(5, increase(sr_failures_total[30m])) > 0")
        case.saw("code and fault of what fails", any('"fault": "service"' in row for row in told))
    codes = sorted({row.split('"code": "')[1].split('"')[0] for row in told})
    task = next(
        t["task_id"] for t in world.client.tasks(failed[0]) if t["state"] == "failed" and t["task_id"] != "clean"
    )
    log = world.task_log("upscale_video", failed[0], task)
    for case in cases:
        case.saw(f"log of {task} ends with {codes[0]} and the sentence", f"{codes[0]}: " in log)
    shutil.copy(REPOSITORY / "include" / "models" / "compact-x2" / "1" / weights.name, weights)
    clear = {"dag_run_id": failed[0], "only_failed": False, "reset_dag_runs": True, "dry_run": False}
    world.launcher.ask("POST", "clearTaskInstances", json=clear)
    for case in cases:
        case.remedied("weights restored, a failed run cleared whole: it was delivered")
    until(lambda: world.client.run_state(failed[0]) == "success", "the run that was cleared succeeds")


def quality_refused(drill: Round) -> None:
    world = drill.world
    gate = {"global_psnr_min": 26.0, "frame_psnr_min": 24.0, "block_psnr_min": 20.0, "ssim_min": 0.5}
    world.card("strict", "1", gate=gate | {"global_psnr_min": 99.0})
    case = drill.case("SrQualityRefused", "a model whose card asks for a PSNR that no output reaches, eight jobs")
    jobs = [world.submit(model="strict") for _ in range(8)]
    assert world.ended(*jobs) == {"failed"}
    case.fires()
    report = world.settings.workdir / "jobs" / jobs[0] / "report.html"
    case.saw("report of a refused job with the limit", report.is_file() and "99" in report.read_text())
    world.card("strict", "1", gate=gate)
    assert world.ended(world.submit(model="strict")) == {"success"}
    case.remedied("limit in the card corrected: the next job was delivered; it is told until six hours are over")


def disk_low(drill: Round) -> None:
    """What a job left long ago fills the disk while no job runs."""
    world = drill.world
    workdir = world.settings.workdir
    left = workdir / "jobs" / "left-long-ago"
    left.mkdir()
    case = drill.case("SrDiskLow", "a folder that a job left fills the disk of scratch to 95 %, while no job runs")
    free = shutil.disk_usage(workdir).free
    with (left / "output.mp4").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free - DISK_BYTES // 20)
    for path in (left / "output.mp4", left):
        os.utime(path, (time.time() - 30 * 86400,) * 2)
    world.run_dag("watch_queue")
    case.fires()
    told = "min_over_time(sr_disk_free_ratio[15m])"
    case.sees("min_over_time(sr_disk_free_ratio[15m]) < 0.1", lambda: world.prometheus.value(told) < 0.1)
    world.run_dag("purge_workdirs", confirm=True)
    assert not left.exists()
    case.remedied("`purge_workdirs` with `confirm`")
    world.run_dag("watch_queue")
    case.ends()


DRILLS: Final[dict[tuple[str, ...], Drill]] = {
    ("SrMetricsGone",): metrics_gone,
    ("SrReleaseRolledBack",): release_rolled_back,
    ("AirflowDagsBroken",): dags_broken,
    ("AirflowDagProcessorSilent",): dag_processor_silent,
    ("AirflowTriggererSilent",): triggerer_silent,
    ("AirflowTasksLost",): tasks_lost,
    ("SrDeadlineMissed", "SrQueueStuck", "SrQueueWaitsLong", "SrJobsSlow"): queue,
    ("SrErrorRateHigh", "SrErrorBudgetBurnsFast", "SrErrorBudgetBurns"): jobs_fail,
    ("SrQualityRefused",): quality_refused,
    ("SrDiskLow",): disk_low,
    ("AirflowSchedulerSilent",): scheduler_silent,
}
"""In this order: what is told for long comes early, what stops all the rest comes last."""
