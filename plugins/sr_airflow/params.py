"""The Dag's params, made from JobSpec. Owns no field of its own."""

from collections.abc import Mapping
from typing import Any

from airflow.sdk import Param

from sr_tasks.jobs.spec import JobSpec

_ABOUT_DEFAULT = frozenset({"default", "description"})
_REQUIRED: dict[str, Any] = {"minLength": 1, "pattern": r"\S"}


def job_params() -> dict[str, Param]:
    """One Param a field of JobSpec, in its order, for the trigger form; `source` has to be filled in."""
    params = {name: _param(schema) for name, schema in JobSpec.model_json_schema()["properties"].items()}
    source = params["source"]
    params["source"] = Param(None, source.description, schema={**source.schema, **_REQUIRED})
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
