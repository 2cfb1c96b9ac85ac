"""What S3 says of new objects, out of the bodies of SQS messages. Pure; believes nothing it has not checked."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from sr_tasks.errors import InputInvalid

_MAX_BYTES = 1 << 20
_HINT = "Only notifications of S3 belong in this queue, as S3, SNS or EventBridge send them."


@dataclass(frozen=True, kw_only=True)
class Notice:
    """An object that was made."""

    bucket: str
    key: str


def notices(body: str) -> list[Notice]:
    """The objects a message speaks of: none for a test message or for a removal. Raises InputInvalid for no notice."""
    if len(body) > _MAX_BYTES:
        raise InputInvalid(f"A message of {len(body)} characters is no notification.", hint=_HINT)
    content = _decoded(body)
    if isinstance(content.get("Message"), str) and "TopicArn" in content:
        content = _decoded(content["Message"])
    try:
        if content.get("Event") == "s3:TestEvent":
            return []
        if content.get("source") == "aws.s3" and "detail" in content:
            return _of_event_bridge(content)
        return [found for record in content["Records"] for found in _of_record(record)]
    except (KeyError, TypeError, AttributeError) as exc:
        raise InputInvalid(f"A message is no notification of S3: {body[:200]!r}.", hint=_HINT) from exc


def _of_record(record: dict[str, Any]) -> list[Notice]:
    if not record["eventName"].removeprefix("s3:").startswith("ObjectCreated:"):
        return []
    s3 = record["s3"]
    return [Notice(bucket=_text(s3["bucket"]["name"]), key=unquote_plus(_text(s3["object"]["key"])))]


def _of_event_bridge(content: dict[str, Any]) -> list[Notice]:
    detail = content["detail"]  # EventBridge does not encode keys
    if content["detail-type"] != "Object Created":
        return []
    return [Notice(bucket=_text(detail["bucket"]["name"]), key=_text(detail["object"]["key"]))]


def _decoded(body: str) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise InputInvalid(f"A message is no JSON: {body[:200]!r}.", hint=_HINT) from exc
    if not isinstance(content, dict):
        raise InputInvalid(f"A message is no JSON object: {body[:200]!r}.", hint=_HINT)
    return content


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
