"""What is sent at once, what is held back and what is never lost, by the ledger alone."""

import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sr_airflow.alerts.alert import Alert, Audience, Kind
from sr_airflow.alerts.ledger import BURST, LEASE_S, SAMPLE, Entry, Ledger

_SETTINGS = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _ledger(folder: Path, clock: Clock) -> Ledger:
    channels = {Audience.OPERATIONS: ("slack:a", "mail:b"), Audience.REVIEWERS: ("mail:c",)}
    return Ledger(folder, quiet_s=900, channels=channels, clock=clock)


def _alert(job: str, code: str = "X", model: str = "m@1", kind: Kind = Kind.FAILED) -> Alert:
    return Alert(kind=kind, job_id=job, message="It broke.", code=code, model=model)


def _drain(ledger: Ledger) -> list[Entry]:
    taken = []
    while entry := ledger.claim():
        ledger.settle(entry, ())
        taken.append(entry)
    return taken


def _counted(entries: list[Entry]) -> int:
    return sum(section.count for entry in entries for section in entry.sections)


@_SETTINGS
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["m@1", "m@2"]), st.integers(0, 600), st.booleans()),
        max_size=25,
    )
)
def test_every_alert_is_told_exactly_once_however_they_come(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[str, str, int, bool]]
) -> None:
    clock = Clock()
    ledger, taken = _ledger(tmp_path_factory.mktemp("ledger"), clock), []
    for number, (code, model, wait_s, sends) in enumerate(events):
        clock.now += wait_s
        ledger.post(_alert(f"job-{number}", code, model))
        taken += _drain(ledger) if sends else []
    taken += _drain(ledger)
    clock.now += 901
    taken += _drain(ledger)
    assert _counted(taken) == len(events)
    assert ledger.claim() is None


def test_causes_and_versions_are_told_apart_and_a_digest_holds_them_together(tmp_path: Path, clock: Clock) -> None:
    ledger = _ledger(tmp_path, clock)
    for number in range(3):
        for code, model in (("X", "m@1"), ("Y", "m@1"), ("X", "m@2")):
            ledger.post(_alert(f"{code}{model}{number}", code, model))
    assert [len(entry.sections) for entry in _drain(ledger)] == [1, 1, 1]
    clock.now += 901
    (digest,) = _drain(ledger)
    assert [section.count for section in digest.sections] == [2, 2, 2]


def test_however_many_causes_there_are_no_more_than_a_burst_goes_out_at_once(tmp_path: Path, clock: Clock) -> None:
    ledger = _ledger(tmp_path, clock)
    for number in range(BURST + 30):
        ledger.post(_alert(f"job-{number}", code=f"CODE_{number}"))
    assert len(_drain(ledger)) == BURST
    clock.now += 901
    (digest,) = _drain(ledger)
    assert _counted([digest]) == 30


def test_a_message_whose_sender_died_is_sent_by_another(tmp_path: Path, clock: Clock) -> None:
    _ledger(tmp_path, clock).post(_alert("job"))
    claimed = _ledger(tmp_path, clock).claim()
    assert claimed is not None
    assert _ledger(tmp_path, clock).claim() is None, "another does not send it meanwhile"
    clock.now += LEASE_S
    again = _ledger(tmp_path, clock).claim()
    assert again is not None
    assert again.id == claimed.id


def test_a_channel_that_is_down_fills_no_disk_and_is_told_everything_later(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sr_airflow.alerts.ledger.MAX_OUTBOX", 4)
    ledger = _ledger(tmp_path, clock)
    for number in range(40):
        clock.now += 1200
        ledger.post(_alert(f"job-{number}", code=f"CODE_{number % 3}"))
        while entry := ledger.claim():
            ledger.settle(entry, ("slack:a",))
        assert len(json.loads((tmp_path / "ledger.json").read_text())["outbox"]) <= 4
    taken = []
    for _ in range(3):
        clock.now += 3601
        taken += _drain(ledger)
    assert taken[0].channels == ("slack:a",), "the mail was taken at once"
    assert _counted(taken) == 40


def test_reviews_go_to_reviewers_in_digests_too(tmp_path: Path, clock: Clock) -> None:
    ledger = _ledger(tmp_path, clock)
    for number in range(3):
        ledger.post(_alert(f"job-{number}", kind=Kind.REVIEW))
    ledger.post(_alert("other"))
    first = _drain(ledger)
    assert [entry.channels for entry in first] == [("mail:c",), ("slack:a", "mail:b")]
    clock.now += 901
    (digest,) = _drain(ledger)
    assert digest.channels == ("mail:c",)


def test_a_digest_lists_some_and_counts_all(tmp_path: Path, clock: Clock) -> None:
    ledger = _ledger(tmp_path, clock)
    for number in range(100):
        ledger.post(_alert(f"job-{number}"))
    _drain(ledger)
    clock.now += 901
    (digest,) = _drain(ledger)
    assert digest.sections[0].count == 99
    assert len(digest.sections[0].alerts) == SAMPLE


def test_alerts_from_many_threads_are_all_counted(tmp_path: Path, clock: Clock) -> None:
    def post(first: int) -> None:
        for number in range(first, first + 10):
            _ledger(tmp_path, clock).post(_alert(f"job-{number}"))

    threads = [threading.Thread(target=post, args=(10 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = _drain(_ledger(tmp_path, clock))
    clock.now += 901
    assert (len(taken), _counted(taken + _drain(_ledger(tmp_path, clock)))) == (1, 40)


def test_a_damaged_ledger_is_put_aside_and_begun_anew(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "ledger.json").write_text("{half")
    ledger = _ledger(tmp_path, clock)
    assert ledger.post(_alert("job"))
    assert len(_drain(ledger)) == 1
    assert (tmp_path / "ledger.damaged.json").read_text() == "{half"


def test_nothing_grows_for_ever(tmp_path: Path, clock: Clock) -> None:
    ledger = _ledger(tmp_path, clock)
    for number in range(30):
        ledger.post(_alert(f"job-{number}", code=f"CODE_{number}"))
    dead = tmp_path / ".ledger.0123456789ab.partial.json"
    dead.write_text("half")
    os.utime(dead, (clock.now, clock.now))
    _drain(ledger)
    for wait_s in (31 * 86400, 901):
        clock.now += wait_s
        _drain(ledger)
    ledger.sweep()
    kept = json.loads((tmp_path / "ledger.json").read_text())
    assert {name: value for name, value in kept.items() if value} == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ledger.json", "lock"]
