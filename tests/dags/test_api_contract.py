"""What the REST API answers to whatever is asked, against its own description: schemathesis makes the requests."""

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from sr_tasks.jobs.api import PREFIX
from tests.dags.api_server import Server

pytestmark = pytest.mark.usefixtures("api_settings")

_EXAMPLES = 6
"""A route, mode, and kind of id."""
_CHECKS: list[Any] = [status_code_conformance, content_type_conformance, response_schema_conformance]
_NOT_READY = "/ready"
"""Without a scheduler its answer is 503, as described."""
_NOTHING_TO_VARY = ("/health", _NOT_READY)


@schemathesis.serializer("application/offset+octet-stream")
def _piece(context: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize("known", [True, False])
def test_every_answer_is_one_that_the_description_has(
    server: Server, tmp_path: Path, mode: GenerationMode, known: bool
) -> None:
    schema = schemathesis.openapi.from_asgi(f"{PREFIX}/openapi.json", server.app)
    client, asked, seen = server.signed_in("op"), 0, set()
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path in _NOTHING_TO_VARY and mode is GenerationMode.NEGATIVE:
            continue
        ids = _ids(server, client, tmp_path) if known and "{" in operation.path else {}
        seen |= _ask(operation, mode, str(client.headers["Authorization"]), ids)
        asked += 1
    assert asked > 15
    assert {404, 422} <= seen if not known else {200, 204, 409} <= seen


def _ids(server: Server, client: TestClient, folder: Path) -> dict[str, str]:
    """Of a job that is done, and of an upload that has begun."""
    job_id = str(client.post("/jobs", json={"source": "/media/film.mp4"}).json()["job_id"])
    server.deliver(job_id, folder)
    headers = {"Upload-Length": "10", "Upload-Metadata": "filename ZmlsbS5tcDQ="}
    return {"job_id": job_id, "upload_id": str(client.post("/uploads", headers=headers).json()["id"])}


def _ask(operation: Any, mode: GenerationMode, token: str, ids: dict[str, str]) -> set[int]:
    """The statuses that were answered to one route."""
    checks = _CHECKS if operation.path == _NOT_READY else [not_a_server_error, *_CHECKS]
    seen: set[int] = set()

    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        case.path_parameters |= {name: value for name, value in ids.items() if name in case.path_parameters}
        answer = case.call(headers={"Authorization": token})
        if "/../" in case.formatted_path:
            return
        seen.add(answer.status_code)
        case.validate_response(answer, checks=checks)

    ask()
    return seen
