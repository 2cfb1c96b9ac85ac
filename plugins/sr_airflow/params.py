"""The params of the Dags, made from JobSpec and ReleaseRequest. Owns no field of its own."""

from collections.abc import Mapping
from typing import Any

from airflow.sdk import Param
from pydantic import BaseModel

from sr_tasks.jobs.spec import JobSpec
from sr_tasks.release.request import ReleaseRequest

_ABOUT_DEFAULT = frozenset({"default", "description"})


def job_params() -> dict[str, Param]:
    """One Param a field of JobSpec, in its order, for the trigger form; `source` has to be filled in."""
    return _params(JobSpec, "source")


def release_params() -> dict[str, Param]:
    """The same of ReleaseRequest; `name` has to be filled in."""
    return _params(ReleaseRequest, "name")


def _params(request: type[BaseModel], required: str) -> dict[str, Param]:
    params = {name: _param(schema) for name, schema in request.model_json_schema()["properties"].items()}
    wanted = params[required]
    params[required] = Param(None, wanted.description, schema={"pattern": r"\S", **wanted.schema, "minLength": 1})
    return params


def _param(schema: Mapping[str, Any]) -> Param:
    rules = {key: value for key, value in schema.items() if key not in _ABOUT_DEFAULT | {"anyOf"}}
    for choice in schema.get("anyOf", ()):
        types = [*rules.get("type", ()), choice["type"]]
        rules.update(choice)
        rules["type"] = types
    if isinstance(rules["type"], list):
        rules["type"].sort(key=lambda name: name != "null")
    return Param(schema["default"], schema.get("description"), schema=rules)
