"""Airflow's own API server in this process, on the database of the tests, as the tests of the REST API use it."""

import json
from pathlib import Path
from typing import Any

from airflow.api_fastapi import app as airflow_app
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from sr_tasks.config import REPOSITORY
from sr_tasks.jobs.api import PREFIX, Problem
from sr_tasks.jobs.status import JOB_DAG
from sr_tasks.records.job import DeliveryRecord


def refused(answer: Any, status: int, code: str) -> Problem:
    """The answer is an error as every error is."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    problem = Problem.model_validate_json(answer.content)
    assert (problem.status, problem.code) == (status, code)
    assert problem.detail.endswith(".")
    assert problem.hint, "it says what to do"
    return problem


class Server:
    """Knows the Dag of the jobs. There is no scheduler: a run stays as a test puts it."""

    def __init__(self) -> None:
        self.app = airflow_app.cached_app()
        manager = DagBundlesManager()
        with create_session() as session:
            manager.sync_bundles_to_db(session=session)
        bundle = next(iter(manager.get_all_dag_bundles()))
        file = Path(REPOSITORY, "dags", f"{JOB_DAG}.py")
        found = BundleDagBag(dag_folder=file, bundle_path=bundle.path, bundle_name=bundle.name)
        assert not found.import_errors
        sync_bag_to_db(found, bundle.name, bundle.version)

    def close(self) -> None:
        airflow_app.purge_cached_app()

    def as_nobody(self, *, below: str = PREFIX) -> TestClient:
        """Paths of its calls begin `below`."""
        return TestClient(self.app, base_url=f"http://airflow{below}", raise_server_exceptions=False)

    def signed_in(
        self, role: str | None = "user", name: str = "anna", *, by_cookie: bool = False, below: str = PREFIX
    ) -> TestClient:
        """Somebody with a role of Airflow: viewer, user, op or admin."""
        client: Any = self.as_nobody(below=below)
        token = airflow_app.get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=name, role=role))
        if by_cookie:
            client.cookies.set("_token", token)
        else:
            client.headers["Authorization"] = f"Bearer {token}"
        return client

    def put(self, job_id: str, run_state: str, **tasks: str | None) -> None:
        """Put a run and some of its tasks into states, as a scheduler would have."""
        with create_session() as session:
            session.execute(update(DagRun).where(DagRun.run_id == job_id).values(state=run_state))
            for task_id, state in tasks.items():
                which = (TaskInstance.run_id == job_id, TaskInstance.task_id == task_id)
                session.execute(update(TaskInstance).where(*which).values(state=state))

    def deliver(
        self, job_id: str, folder: Path, *, content: bytes = b"film", owner: str = "", at: str = ""
    ) -> list[Path]:
        """Complete a job: output, manifest and report in a folder, with a manifest that says whose they are. `at`:
        where the job says that they are, if not there."""
        names = ("out.mp4", "out.mp4.manifest.json", "out.mp4.report.html")
        manifest = json.dumps({"schema_version": 2, "job": {"id": owner or job_id}}).encode()
        files = [folder / name for name in names]
        for file, of_file in zip(files, (content, manifest, b"<!doctype html>"), strict=True):
            file.write_bytes(of_file)
        output, beside, report = (f"{at or folder}/{name}" for name in names)
        record = DeliveryRecord(output=output, manifest=beside, report=report)
        self.put(job_id, "success", report="success")
        where = {"dag_id": JOB_DAG, "task_id": "report", "run_id": job_id}
        XComModel.set("return_value", record.model_dump(), serialize=False, **where)
        return files

    def tasks_of(self, job_id: str) -> dict[str, str | None]:
        """State by task."""
        with create_session() as session:
            wanted = select(TaskInstance.task_id, TaskInstance.state).where(TaskInstance.run_id == job_id)
            return {task_id: state for task_id, state in session.execute(wanted)}

    def state_of(self, job_id: str) -> str | None:
        """Of the run in Airflow; None if there is none."""
        with create_session() as session:
            found = session.scalar(select(DagRun.state).where(DagRun.run_id == job_id))
        return None if found is None else str(found)
