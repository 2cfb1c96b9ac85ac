"""A store over HTTP and an inbox in memory, so that what is taken can be counted."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from sr_tasks.arrivals.jobs import Job
from sr_tasks.config import Settings
from sr_tasks.errors import AirflowUnavailable
from tests.object_store import serving


class Shelf:
    """An inbox that keeps every submission, new or not, in their order."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.states: dict[str, str] = {}
        self.breaks_after: int | None = None

    def waiting(self) -> int:
        return sum(1 for job_id in self.jobs if self.states.get(job_id, "queued") in ("queued", "running"))

    def submit(self, job: Job) -> bool:
        if self.breaks_after is not None and len(self.asked) >= self.breaks_after:
            raise AirflowUnavailable("Airflow does not answer.")
        self.asked.append(job.job_id)
        return self.jobs.setdefault(job.job_id, job.conf) is job.conf

    def failed(self, job_ids: list[str]) -> int:
        return sum(1 for job_id in job_ids if self.states.get(job_id) == "failed")

    def completed(self, job_ids: list[str]) -> int:
        return sum(1 for job_id in job_ids if self.states.get(job_id) == "success")

    def retry(self, job_id: str) -> None:
        self.states[job_id] = "queued"

    def sources(self) -> list[str]:
        return sorted(conf["source"] for conf in self.jobs.values())


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture
def client(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    client = boto3.client("s3", endpoint_url=endpoint)
    client.create_bucket(Bucket="media")
    yield client
    for page in client.get_paginator("list_objects_v2").paginate(Bucket="media"):
        for row in page.get("Contents", ()):
            client.delete_object(Bucket="media", Key=row["Key"])


@pytest.fixture
def settings(tmp_path: Path, endpoint: str) -> Settings:
    return dataclasses.replace(
        Settings(), workdir=tmp_path / "work", state_dir=tmp_path / "state", s3_endpoint_url=endpoint
    )
