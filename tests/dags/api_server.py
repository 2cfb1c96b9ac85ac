"""Airflow's own API server in this process, on the database of the tests, as the tests of the REST API use it."""

from pathlib import Path
from typing import Any

from airflow.api_fastapi import app as airflow_app
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from sr_tasks.config import REPOSITORY
from sr_tasks.jobs.api import PREFIX
from sr_tasks.jobs.status import JOB_DAG


class Server:
    """Knows the Dag of the jobs. There is no scheduler: a run stays as a test puts it."""

    def __init__(self) -> None:
        self._app = airflow_app.cached_app()
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

    def as_nobody(self) -> TestClient:
        return TestClient(self._app, base_url=f"http://airflow{PREFIX}", raise_server_exceptions=False)

    def signed_in(self, role: str | None = "user", name: str = "anna", *, by_cookie: bool = False) -> TestClient:
        """Somebody with a role of Airflow: viewer, user, op or admin."""
        client: Any = self.as_nobody()
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
