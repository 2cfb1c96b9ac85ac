"""Notifications in each form they come in, and everything that is none."""

import contextlib
import json
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sr_tasks.arrivals.messages import MAX_BYTES, job_of_message
from sr_tasks.arrivals.notices import Notice, notices
from sr_tasks.errors import InputInvalid, SrError
from sr_tasks.jobs.spec import job_spec

_KEYS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)


def _record(key: str, event: str = "ObjectCreated:Put") -> dict[str, Any]:
    return {"eventName": event, "s3": {"bucket": {"name": "media"}, "object": {"key": quote_plus(key)}}}


@settings(deadline=None)
@given(_KEYS)
def test_any_key_is_read_back_in_each_form(key: str) -> None:
    direct = json.dumps({"Records": [_record(key)]})
    sns = json.dumps({"TopicArn": "arn", "Message": direct})
    detail = {"bucket": {"name": "media"}, "object": {"key": key}}
    bridge = json.dumps({"source": "aws.s3", "detail-type": "Object Created", "detail": detail})
    assert notices(direct) == notices(sns) == notices(bridge) == [Notice(bucket="media", key=key)]


def test_removals_and_test_messages_speak_of_no_new_object() -> None:
    assert notices(json.dumps({"Records": [_record("a.mp4", "ObjectRemoved:Delete")]})) == []
    assert notices(json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "media"})) == []


_WORDS = st.sampled_from(["Records", "s3", "Message", "source", "detail", "x"])
_SCALARS = st.none() | st.booleans() | st.integers() | st.text()


@settings(deadline=None)
@given(st.recursive(_SCALARS, lambda inner: st.lists(inner) | st.dictionaries(_WORDS, inner)))
def test_whatever_else_comes_is_refused_as_no_notice_and_breaks_nothing(content: Any) -> None:
    with contextlib.suppress(InputInvalid):
        assert notices(json.dumps(content)) == []


@pytest.mark.parametrize("body", ["", "{", "[" * 100_000, "x" * (2 << 20)])
def test_what_is_no_json_is_refused(body: str) -> None:
    with pytest.raises(InputInvalid):
        notices(body)


def test_a_message_is_the_job_it_asks_for() -> None:
    job = job_of_message(b'{"source": "s3://media/a.mp4", "scale": 4}', "m-1")
    assert job_spec(job.conf).scale == 4
    assert job_of_message(b'{"scale": 4, "source": "s3://media/a.mp4"}', "m-1") == job, "the same id is the same job"


def test_a_message_without_an_id_is_known_by_its_content() -> None:
    body = b'{"source": "s3://media/a.mp4"}'
    assert job_of_message(body, None) == job_of_message(body, None)
    assert job_of_message(body, None).job_id != job_of_message(body + b" ", None).job_id


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"\xff", "no JSON"),
        (b"[1]", "no JSON object"),
        (b"{}", "no source"),
        (b'{"source": "a.mp4", "scale": 5}', "scale=5"),
        (b'{"source": "a.mp4", "colour": 1}', "colour"),
        (b" " * (MAX_BYTES + 1), "allowed"),
    ],
)
def test_a_message_that_asks_for_no_job_is_refused_with_the_reason(body: bytes, said: str) -> None:
    with pytest.raises(SrError, match=said):
        job_of_message(body, None)
