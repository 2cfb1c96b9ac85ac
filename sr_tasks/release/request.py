"""ReleaseRequest: what is to be released and how. The Dag's params and the command line are made from it."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sr_tasks.errors import UsageError
from sr_tasks.records.loading import problem


class ReleaseRequest(BaseModel):
    """What is to be released, and how. Title and help text are shown in Airflow's trigger form."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights: str = Field(
        default="",
        title="Weights",
        description="A path, `s3://bucket/key` or `mlflow:/name/version`. Empty: a version that is in the registry.",
        max_length=4096,
        json_schema_extra={"section": "Version"},
    )
    name: str = Field(
        default="",
        title="Model",
        description="Name in the registry.",
        pattern=r"^([a-z0-9][a-z0-9._-]{0,63})?$",
        json_schema_extra={"section": "Version"},
    )
    version: str = Field(
        default="",
        title="Version",
        description="Empty: the next number for weights that are brought, else the newest there is.",
        pattern=r"^([a-z0-9][a-z0-9._-]{0,31})?$",
        json_schema_extra={"section": "Version"},
    )
    licence: str = Field(
        default="",
        title="Licence",
        description="SPDX expression of weights that are brought.",
        max_length=200,
        json_schema_extra={"section": "Version"},
    )
    source: str = Field(
        default="",
        title="Where it comes from",
        description="URL of weights that are brought.",
        max_length=2000,
        json_schema_extra={"section": "Version"},
    )
    share: float = Field(
        default=0.1,
        title="Share of jobs",
        description="That get the candidate, 0 to 1.",
        ge=0,
        le=1,
        json_schema_extra={"section": "Release"},
    )
    shadow: float = Field(
        default=0.0,
        title="Share of chunks shadowed",
        description="Of production's chunks: some frames of them the candidate does too, and nothing is delivered.",
        ge=0,
        le=1,
        json_schema_extra={"section": "Release"},
    )
    policy: Literal["person", "auto"] = Field(
        default="person",
        title="Who promotes",
        description="`auto`: the rule, after enough jobs without a breach. Taking back needs nobody either way.",
        json_schema_extra={"section": "Release"},
    )


def release_request(values: Mapping[str, Any]) -> ReleaseRequest:
    """Raises UsageError naming the field that is wrong."""
    try:
        request = ReleaseRequest.model_validate(values)
    except ValidationError as exc:
        raise UsageError(f"The request is not valid: {problem(exc)}.", hint="Correct it.") from exc
    if not request.name:
        raise UsageError("No model was named.", hint="Give the name it has, or is to have, in the registry.")
    return request
