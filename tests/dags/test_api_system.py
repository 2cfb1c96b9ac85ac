"""What the REST API says of the deployment: its models, whether it works, how many jobs stand where."""

import pytest

from sr_tasks.jobs.api import Health, ModelDetail, ModelSummary, Stats
from sr_tasks.jobs.status import Status
from tests.dags.api_server import Server, refused

pytestmark = pytest.mark.usefixtures("api_settings")


def test_the_models_of_the_registry_are_shown_with_what_jobs_get(server: Server) -> None:
    viewer = server.signed_in("viewer")
    models = {model["name"]: ModelSummary.model_validate(model) for model in viewer.get("/models").json()}
    assert models["quality-x2"].versions == ("1", "2")
    assert models["bicubic"].scales == (2, 4)
    for path, version in (("quality-x2", models["quality-x2"].production), ("quality-x2@1", "1")):
        shown = ModelDetail.model_validate_json(viewer.get(f"/models/{path}").content)
        assert (shown.card.name, shown.card.version) == ("quality-x2", version)
    for name in ("unknown", "quality-x2@9", "%00"):
        refused(viewer.get(f"/models/{name}"), 404, "MODEL_UNKNOWN")
    assert server.as_nobody().get("/models").status_code == 401


def test_a_server_without_a_scheduler_answers_and_is_not_ready(server: Server) -> None:
    nobody = server.as_nobody()
    assert Health.model_validate_json(nobody.get("/health").content).status == "ok"
    problem = refused(nobody.get("/ready"), 503, "NOT_READY")
    assert "scheduler" in problem.detail


def test_with_airflow_well_it_is_ready_once_the_dag_is_known(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    from sr_console import internals, system

    health = {"metadatabase": "healthy", "scheduler": "healthy", "dag_processor": "healthy", "triggerer": None}
    monkeypatch.setattr(internals, "airflow_health", lambda: health)
    assert server.as_nobody().get("/ready").status_code == 200
    monkeypatch.setattr(system, "JOB_DAG", "unknown")
    refused(server.as_nobody().get("/ready"), 503, "NOT_READY")


def test_jobs_are_counted_by_where_they_stand(server: Server) -> None:
    anna = server.signed_in()

    def counted() -> Stats:
        return Stats.model_validate_json(anna.get("/stats", params={"hours": 1}).content)

    before = counted()
    jobs = [anna.post("/jobs", json={"source": "/media/film.mp4"}).json()["job_id"] for _ in range(4)]
    server.put(jobs[0], "failed")
    server.put(jobs[1], "success", report="success")
    server.put(jobs[2], "running", validate="running")
    after = counted()
    assert (after.waiting - before.waiting, after.working - before.working) == (1, 1)
    assert {status: after.accepted[status] - before.accepted[status] for status in Status} == dict.fromkeys(Status, 1)
    refused(anna.get("/stats", params={"hours": 0}), 422, "USAGE")
