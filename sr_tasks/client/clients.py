"""The two clients. Each sends what `talk` says to, and waits in its own way."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from sr_tasks.client.talk import TIMEOUT_S, Answer, Result, Steps, Talk, job_call, list_call
from sr_tasks.jobs.api import JobDetail, JobPage, JobSummary


class Client:
    """The API of one server, as one user: with a token of Airflow, or a name and a password, which get new tokens.

    Every call raises what the server refuses with, and AirflowUnavailable if it does not answer.
    """

    def __init__(
        self, url: str, *, token: str = "", username: str = "", password: str = "", http: httpx.Client | None = None
    ) -> None:
        self._http = http or httpx.Client(base_url=url, timeout=TIMEOUT_S)
        self._talk = Talk(self._http, token, username, password)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def enhance(self, source: str | Path, *, key: str = "", **fields: Any) -> Result:
        """Submit a job, wait for its end, and raise the error it failed with. Arguments as for `submit`."""
        return self._run(self._talk.enhance(source, key, fields))

    def submit(self, source: str | Path, *, key: str = "", **fields: Any) -> JobDetail:
        """Start a job for an address that the workers can reach, or for a file of this machine: a Path is sent first.

        `fields` are those of JobRequest. Under one `key` the same request gives the same job, however often it is
        sent. Raises ValidationError for a field that is none.
        """
        return self._run(self._talk.submit(source, key, fields))

    def job(self, job_id: str) -> JobDetail:
        return self._run(self._talk.read(job_call(job_id), JobDetail))

    def jobs(self, **filters: Any) -> Iterator[JobSummary]:
        """All jobs that fit, the newest first. `filters` are the parameters of GET /jobs."""
        cursor: str | None = ""
        while cursor is not None:
            page = self._run(self._talk.read(list_call(filters, cursor), JobPage))
            yield from page.jobs
            cursor = page.next_cursor

    def upload(self, path: Path) -> str:
        """Send a file; the address to name as a source. A connection that breaks goes on where it was."""
        return self._run(self._talk.upload(path))

    def wait(self, job_id: str) -> JobDetail:
        """The job once it is COMPLETED or FAILED."""
        return self._run(self._talk.wait(job_id))

    def cancel(self, job_id: str) -> JobDetail:
        return self._run(self._talk.read(job_call(job_id, "/cancel", method="POST"), JobDetail))

    def retry(self, job_id: str) -> JobDetail:
        return self._run(self._talk.read(job_call(job_id, "/retry", method="POST"), JobDetail))

    def delete(self, job_id: str, *, outputs: bool = False) -> None:
        self._run(self._talk.send(job_call(job_id, method="DELETE", outputs=outputs)))

    def download(self, job: Result | str, path: str | Path) -> Path:
        """Save the output at `path`, which appears whole. A download that broke off goes on where it was."""
        return self._run(self._talk.download(job, path))

    def _run(self, steps: Steps[Answer]) -> Answer:
        given: Any = None
        while True:
            try:
                step = steps.send(given)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            given = self._sent(step) if isinstance(step, httpx.Request) else time.sleep(step)  # type: ignore[func-returns-value]

    def _sent(self, request: httpx.Request) -> httpx.Response | httpx.TransportError:
        try:
            return self._http.send(request, follow_redirects=True)
        except httpx.TransportError as exc:
            return exc


class AsyncClient:
    """The same for asyncio."""

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        username: str = "",
        password: str = "",
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._http = http or httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S)
        self._talk = Talk(self._http, token, username, password)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def enhance(self, source: str | Path, *, key: str = "", **fields: Any) -> Result:
        return await self._run(self._talk.enhance(source, key, fields))

    async def submit(self, source: str | Path, *, key: str = "", **fields: Any) -> JobDetail:
        return await self._run(self._talk.submit(source, key, fields))

    async def job(self, job_id: str) -> JobDetail:
        return await self._run(self._talk.read(job_call(job_id), JobDetail))

    async def jobs(self, **filters: Any) -> AsyncIterator[JobSummary]:
        cursor: str | None = ""
        while cursor is not None:
            page = await self._run(self._talk.read(list_call(filters, cursor), JobPage))
            for job in page.jobs:
                yield job
            cursor = page.next_cursor

    async def upload(self, path: Path) -> str:
        return await self._run(self._talk.upload(path))

    async def wait(self, job_id: str) -> JobDetail:
        return await self._run(self._talk.wait(job_id))

    async def cancel(self, job_id: str) -> JobDetail:
        return await self._run(self._talk.read(job_call(job_id, "/cancel", method="POST"), JobDetail))

    async def retry(self, job_id: str) -> JobDetail:
        return await self._run(self._talk.read(job_call(job_id, "/retry", method="POST"), JobDetail))

    async def delete(self, job_id: str, *, outputs: bool = False) -> None:
        await self._run(self._talk.send(job_call(job_id, method="DELETE", outputs=outputs)))

    async def download(self, job: Result | str, path: str | Path) -> Path:
        return await self._run(self._talk.download(job, path))

    async def _run(self, steps: Steps[Answer]) -> Answer:
        given: Any = None
        while True:
            try:
                step = steps.send(given)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            given = await (asyncio.sleep(step) if isinstance(step, float) else self._sent(step))

    async def _sent(self, request: httpx.Request) -> httpx.Response | httpx.TransportError:
        try:
            return await self._http.send(request, follow_redirects=True)
        except httpx.TransportError as exc:
            return exc
