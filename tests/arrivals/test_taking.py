"""Exactly one job a file, whatever the way it is heard of, and whatever breaks off in between."""

import dataclasses
import itertools
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as no_deadline
from hypothesis import strategies as st

from sr_tasks.arrivals.announced import announced
from sr_tasks.arrivals.files import Arrived, listed
from sr_tasks.arrivals.jobs import Job
from sr_tasks.arrivals.rules import Rules, Watch
from sr_tasks.arrivals.taking import failed_among, failures, retry, take, take_announced, take_jobs, take_listed
from sr_tasks.config import Settings
from sr_tasks.errors import AirflowUnavailable, InputNotFound, SrError, UsageError
from sr_tasks.jobs.spec import job_spec
from sr_tasks.storage.s3 import ObjectStore
from tests.arrivals.conftest import Shelf

WATCH = Watch(
    prefix="s3://media/in/", output="s3://out/{folder}{stem}_x{scale}{suffix}", settle_s=0, job={"codec": "hevc"}
)
RULES = Rules(uploads=(WATCH,))


def put(client: Any, key: str, body: bytes = b"film") -> None:
    client.put_object(Bucket="media", Key=key, Body=body)


def notification(key: str) -> str:
    return json.dumps(
        {
            "Records": [
                {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "media"}, "object": {"key": key}}},
            ]
        }
    )


def told(body: str, settings: Settings) -> list[Arrived] | None:
    return announced(body, RULES, ObjectStore(settings), settings)


def test_each_new_object_is_one_job_with_its_own_output(client: Any, settings: Settings, shelf: Shelf) -> None:
    put(client, "in/show/ep 1.mp4")
    put(client, "in/show/ep 1.avi")
    put(client, "in/show/notes.txt")
    put(client, "in/empty.mp4", b"")
    put(client, "elsewhere/a.mp4")
    taken = take_listed(RULES, shelf, settings)
    assert len(taken.accepted) == 2
    assert {conf["source"]: conf["output"] for conf in shelf.jobs.values()} == {
        "s3://media/in/show/ep 1.mp4": "s3://out/show/ep 1_x2.mp4",
        "s3://media/in/show/ep 1.avi": "s3://out/show/ep 1_x2.avi.mkv",
    }
    assert all(job_spec(conf).codec == "hevc" for conf in shelf.jobs.values())


def test_a_listing_after_a_listing_asks_for_nothing_again(client: Any, settings: Settings, shelf: Shelf) -> None:
    put(client, "in/a.mp4")
    take_listed(RULES, shelf, settings)
    again = take_listed(RULES, shelf, settings)
    assert (again.accepted, again.known, len(shelf.asked)) == ([], 1, 1)


def test_a_lost_memory_costs_a_question_and_no_second_job(
    client: Any, settings: Settings, shelf: Shelf, tmp_path: Path
) -> None:
    put(client, "in/a.mp4")
    take_listed(RULES, shelf, settings)
    (ledger,) = (tmp_path / "state" / "arrivals").glob("*.json")
    ledger.write_text("{broken")
    take_listed(RULES, shelf, settings)
    assert (len(shelf.asked), len(shelf.jobs)) == (2, 1)


def test_a_new_version_of_an_object_is_a_new_job_that_may_replace_the_output(
    client: Any, settings: Settings, shelf: Shelf
) -> None:
    put(client, "in/a.mp4", b"one")
    take_listed(RULES, shelf, settings)
    put(client, "in/a.mp4", b"two")
    take_listed(RULES, shelf, settings)
    first, second = shelf.jobs.values()
    assert first == second
    assert second["overwrite"] is True


def test_without_the_folder_in_its_name_an_output_is_never_replaced(
    client: Any, settings: Settings, shelf: Shelf
) -> None:
    put(client, "in/a.mp4")
    flat = WATCH.model_copy(update={"output": "s3://out/{stem}{suffix}"})
    take_listed(Rules(uploads=(flat,)), shelf, settings)
    (conf,) = shelf.jobs.values()
    assert job_spec(conf).overwrite is False


def test_an_event_and_a_listing_name_the_same_job(client: Any, settings: Settings, shelf: Shelf) -> None:
    put(client, "in/a b.mp4")
    found = told(notification("in/a+b.mp4"), settings)
    assert found
    assert [one.job_id for one in found] == [one.job_id for one in listed("s3://media/in/", settings)]
    rows = [dataclasses.asdict(one) for one in found]
    assert len(take_announced([Arrived(**row) for row in rows], RULES, shelf, settings).accepted) == 1
    assert take_listed(RULES, shelf, settings).known == 1
    assert len(shelf.asked) == 1


def test_a_multipart_object_has_the_same_id_from_both_ways(client: Any, settings: Settings) -> None:
    upload = client.create_multipart_upload(Bucket="media", Key="in/big.mp4")["UploadId"]
    where = {"Bucket": "media", "Key": "in/big.mp4", "UploadId": upload}
    etag = client.upload_part(**where, PartNumber=1, Body=b"x" * (5 << 20))["ETag"]
    assert list(listed("s3://media/in/", settings)) == [], "while its parts arrive there is nothing to take"
    client.complete_multipart_upload(**where, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    (found,) = told(notification("in/big.mp4"), settings) or ()
    assert found.version.endswith('-1"')
    assert [one.job_id for one in listed("s3://media/in/", settings)] == [found.job_id]


def test_an_object_that_is_gone_or_not_wanted_is_forgotten(client: Any, settings: Settings) -> None:
    put(client, "elsewhere/a.mp4")
    for body in (notification("in/gone.mp4"), notification("elsewhere/a.mp4"), "nonsense", '{"Event": "s3:TestEvent"}'):
        assert told(body, settings) == []


def test_a_store_that_does_not_answer_is_no_empty_listing(settings: Settings, shelf: Shelf, client: Any) -> None:
    away = dataclasses.replace(settings, s3_endpoint_url="http://127.0.0.1:9")
    with pytest.raises(SrError) as caught:
        take_listed(RULES, shelf, away)
    assert caught.value.retryable
    assert told(notification("in/a.mp4"), away) is None, "the message will come again"


def test_a_missing_bucket_says_so(settings: Settings, shelf: Shelf, client: Any) -> None:
    rules = Rules(uploads=(WATCH.model_copy(update={"prefix": "s3://nobody/in/"}),))
    with pytest.raises(InputNotFound, match="nobody"):
        take_listed(rules, shelf, settings)


def test_a_folder_is_watched_like_a_bucket_and_a_file_being_written_is_left_alone(
    settings: Settings, shelf: Shelf, tmp_path: Path
) -> None:
    inbox, outside = tmp_path / "in box", tmp_path / "secret.mp4"
    (inbox / "sub").mkdir(parents=True)
    outside.write_bytes(b"film")
    for name in ("sub/done ä.mp4", "growing.mp4", ".hidden.mp4"):
        (inbox / name).write_bytes(b"film")
    (inbox / "link.mp4").symlink_to(outside)
    long_ago = (inbox / "growing.mp4").stat().st_mtime - 7200
    os.utime(inbox / "sub/done ä.mp4", (long_ago, long_ago))
    watch = Watch(prefix=f"{inbox}/", output=f"{tmp_path}/out/{{folder}}{{stem}}_x{{scale}}{{suffix}}", settle_s=3600)
    taken = take_listed(Rules(uploads=(watch,)), shelf, settings)
    assert (len(taken.accepted), taken.settling) == (1, 1)
    (conf,) = shelf.jobs.values()
    assert conf["source"].endswith("/in%20box/sub/done%20%C3%A4.mp4")
    assert conf["output"].endswith("/out/sub/done%20%C3%A4_x2.mp4")


def test_of_nested_prefixes_the_inner_one_decides(client: Any, settings: Settings, shelf: Shelf) -> None:
    put(client, "in/deep/a.mp4")
    inner = WATCH.model_copy(update={"prefix": "s3://media/in/deep/", "job": {"scale": 4}})
    take_listed(Rules(uploads=(WATCH, inner)), shelf, settings)
    (conf,) = shelf.jobs.values()
    assert (conf["scale"], conf["output"]) == (4, "s3://out/a_x4.mp4")


def test_many_at_once_are_submitted_as_room_allows_and_none_is_lost_or_doubled(
    settings: Settings, shelf: Shelf, tmp_path: Path
) -> None:
    """A thousand files, a limit of 300, and an Airflow that breaks off in the middle of a batch."""
    inbox = tmp_path / "in"
    inbox.mkdir()
    for number in range(1000):
        (inbox / f"{number:04}.mp4").write_bytes(b"film")
    watch = Watch(prefix=f"{inbox}/", output=f"{tmp_path}/out/{{folder}}{{stem}}{{suffix}}", settle_s=0)
    rules = Rules(uploads=(watch,), max_waiting=300)
    shelf.breaks_after = 130
    with pytest.raises(AirflowUnavailable):
        take_listed(rules, shelf, settings)
    shelf.breaks_after = None
    highest = 0
    for _ in itertools.takewhile(lambda _: len(shelf.jobs) < 1000, range(10)):
        take_listed(rules, shelf, settings)
        highest = max(highest, shelf.waiting())
        shelf.states |= dict.fromkeys(shelf.jobs, "success")
    assert len(shelf.jobs) == len(shelf.asked) == 1000
    assert len(set(shelf.sources())) == 1000
    assert highest <= 300


def test_messages_leave_room_for_people_and_are_taken_when_they_come_again(settings: Settings, shelf: Shelf) -> None:
    rows = [{"job_id": f"message-{number}", "conf": {"source": f"s3://media/{number}.mp4"}} for number in range(130)]
    first = take_jobs(rows, shelf, settings)
    assert (len(first.accepted), first.left) == (40, 90)
    shelf.states |= dict.fromkeys(shelf.jobs, "success")
    assert len(take_jobs(rows[40:], shelf, settings).accepted) == 40


def test_a_job_that_airflow_refuses_is_told_and_asked_for_again(
    client: Any, settings: Settings, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(client, "in/a.mp4")

    def refuse(job: Job) -> bool:
        raise UsageError("The Dag does not import.")

    with monkeypatch.context() as broken:
        broken.setattr(shelf, "submit", refuse)
        assert take_listed(RULES, shelf, settings).refused == {"s3://media/in/a.mp4": "The Dag does not import."}
    assert len(take_listed(RULES, shelf, settings).accepted) == 1


def test_failures_are_listed_and_run_again_by_prefix(
    client: Any, settings: Settings, shelf: Shelf, tmp_path: Path
) -> None:
    for key in ("in/one/a.mp4", "in/one/b.mp4", "in/two/c.mp4"):
        put(client, key)
    file = tmp_path / "arrivals.yaml"
    file.write_text("uploads:\n- {prefix: s3://media/in/, output: 's3://out/{folder}{stem}{suffix}', settle_s: 0}\n")
    settings = dataclasses.replace(settings, arrivals_file=str(file))
    assert take(None, shelf, settings)["accepted"] == 3
    by_source = {conf["source"]: job_id for job_id, conf in shelf.jobs.items()}
    shelf.states = {by_source["s3://media/in/one/b.mp4"]: "failed", by_source["s3://media/in/two/c.mp4"]: "failed"}
    assert {row["source"] for row in failures(shelf, settings)} == {
        "s3://media/in/one/b.mp4",
        "s3://media/in/two/c.mp4",
    }
    again = retry("s3://media/in/one/", shelf, settings)
    assert [row["source"] for row in again] == ["s3://media/in/one/b.mp4"]
    assert [row["source"] for row in failures(shelf, settings)] == ["s3://media/in/two/c.mp4"]
    for wrong in ("s3://media/", "s3://media/in/one", "s3://other/in/"):
        with pytest.raises(UsageError):
            retry(wrong, shelf, settings)


@no_deadline(deadline=None)
@given(st.lists(st.booleans(), max_size=300))
def test_the_failed_are_found_by_counts_alone(failed: list[bool]) -> None:
    shelf = Shelf()
    ids = [f"job-{number}" for number in range(len(failed))]
    shelf.states = {job_id: "failed" for job_id, is_failed in zip(ids, failed, strict=True) if is_failed}
    assert failed_among(ids, shelf) == list(shelf.states)
