"""The ledger of alerts: which were sent, which wait for a digest, which are still to be sent. Sends nothing itself.

The first alert of a group is sent at once and begins a quiet time. Alerts of the same group in that time are counted
and sent together in one digest at its end. A message stays in the outbox until every channel has taken it, so a channel
that does not answer or a process that is killed loses none. All of it is one small file.
"""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from loguru import logger
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sr_airflow.alerts.alert import OPENING, Alert, Audience, Kind
from sr_tasks.storage.atomic import sweep_partials, write_text
from sr_tasks.storage.locks import locked

SAMPLE = 20
"""Alerts of a group that a digest lists; the others are counted."""
BURST = 20
"""Alerts sent at once in one quiet time, of all groups together."""
LEASE_S = 300.0
"""After this long, a message whose sender has not come back is sent by another."""
KEEP_TRYING_S = 7 * 86400.0
REMEMBER_S = 30 * 86400.0
_REMEMBERED = 20_000
MAX_OUTBOX = 50
"""Messages that wait for a channel; beyond them, alerts are held back and counted."""
_MAX_BACKOFF_S = 3600.0


class Section(BaseModel):
    """Alerts of one group: all of them counted, some of them in full."""

    model_config = ConfigDict(frozen=True)

    count: int
    alerts: tuple[Alert, ...]


class Entry(BaseModel):
    """A message to be sent: one alert, or a digest of several sections."""

    id: str = Field(default_factory=lambda: secrets.token_hex(8))
    sections: tuple[Section, ...]
    channels: tuple[str, ...]
    """Those that have not taken it yet."""
    created_at: float
    due_at: float
    tries: int = 0


class _Group(BaseModel):
    opened_at: float
    held: int = 0
    sample: list[Alert] = []


class _State(BaseModel):
    groups: dict[str, _Group] = {}
    outbox: list[Entry] = []
    told: dict[str, float] = {}
    unsettled: dict[str, float] = {}
    """What was told of a job or Dag that its success settles, as `kind:subject`."""
    sent_at: list[float] = []


class Ledger:
    """The alerts of a deployment. Any number of processes may use it at once."""

    def __init__(
        self,
        folder: Path,
        *,
        quiet_s: float,
        channels: Mapping[Audience, tuple[str, ...]],
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._path = folder / "ledger.json"
        self._quiet_s = quiet_s
        self._channels = channels
        self._clock = clock or (lambda: time.time())

    def post(self, alert: Alert) -> bool:
        """Put an alert into the outbox, or count it for a digest. False if it was told before, or nobody listens."""
        with self._state() as state:
            now, channels = self._clock(), self._channels.get(alert.audience, ())
            if not channels or alert.key in state.told:
                return False
            state.told[alert.key] = now
            if alert.kind in OPENING:
                state.unsettled[f"{alert.kind}:{alert.subject}"] = now
            if alert.kind is Kind.SUMMARY or self._may_go(state, alert, now):
                state.sent_at.append(now)
                state.outbox.append(_entry((Section(count=1, alerts=(alert,)),), channels, now))
                state.groups[alert.group] = _Group(opened_at=now)
            else:
                group = state.groups.setdefault(alert.group, _Group(opened_at=now))
                group.held += 1
                group.sample = [*group.sample, alert][-SAMPLE:]
            return True

    def settled(self, subject: str) -> frozenset[Kind]:
        """What was told of a job or a Dag (`Alert.subject`) that its success settles. Says so once."""
        if not self._path.exists():
            return frozenset()
        with self._state() as state:
            keys = {kind: f"{kind}:{subject}" for kind in OPENING}
            return frozenset(kind for kind, key in keys.items() if state.unsettled.pop(key, None) is not None)

    def sweep(self) -> None:
        """Remove what writers that were killed left beside the file."""
        if self._path.parent.is_dir():
            sweep_partials(self._path)

    def claim(self) -> Entry | None:
        """A message that is due, for the caller to send and then to settle; None if there is none."""
        if not self._path.exists():
            return None
        with self._state() as state:
            now = self._clock()
            self._close_groups(state, now)
            for entry in state.outbox:
                if entry.due_at <= now:
                    entry.due_at = now + LEASE_S
                    return entry
            return None

    def settle(self, entry: Entry, failed: tuple[str, ...]) -> None:
        """Say which channels did not take a claimed message; it is due for those again, later each time."""
        with self._state() as state:
            now = self._clock()
            for kept in state.outbox:
                if kept.id == entry.id:
                    kept.channels = failed
                    kept.due_at = now + min(60.0 * 2**kept.tries, _MAX_BACKOFF_S)
                    kept.tries = min(kept.tries + 1, 16)
            for kept in state.outbox:
                if now - kept.created_at > KEEP_TRYING_S and kept.channels:
                    logger.error("gave up telling {}: {}", ", ".join(kept.channels), kept.sections)
                    kept.channels = ()
            state.outbox = [kept for kept in state.outbox if kept.channels]

    def _may_go(self, state: _State, alert: Alert, now: float) -> bool:
        group = state.groups.get(alert.group)
        is_quiet = group is not None and (group.held > 0 or now - group.opened_at < self._quiet_s)
        lately = [sent for sent in state.sent_at if now - sent < self._quiet_s]
        return not is_quiet and len(lately) < BURST and len(state.outbox) < MAX_OUTBOX

    def _close_groups(self, state: _State, now: float) -> None:
        """Turn what was held back long enough into one digest an audience, and forget what is old."""
        due = {
            key: group for key, group in state.groups.items() if group.held and now - group.opened_at >= self._quiet_s
        }
        for audience, channels in self._channels.items():
            mine = {key: group for key, group in due.items() if group.sample[0].audience is audience}
            sections = tuple(Section(count=group.held, alerts=tuple(group.sample)) for group in mine.values())
            if sections and channels and len(state.outbox) < MAX_OUTBOX:
                state.outbox.append(_entry(sections, channels, now))
                for key in mine:
                    state.groups[key] = _Group(opened_at=now)
        state.groups = {
            key: group for key, group in state.groups.items() if group.held or now - group.opened_at < self._quiet_s
        }
        state.sent_at = [sent for sent in state.sent_at if now - sent < self._quiet_s]
        state.told, state.unsettled = _recent(state.told, now), _recent(state.unsettled, now)

    @contextmanager
    def _state(self) -> Iterator[_State]:
        """The state, alone with it; what was changed in it is stored."""
        with locked(self._path.parent / "lock"):
            state = self._load()
            before = state.model_dump_json()
            yield state
            if (after := state.model_dump_json()) != before:
                write_text(self._path, after)

    def _load(self) -> _State:
        try:
            return _State.model_validate_json(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return _State()
        except ValidationError as exc:
            aside = self._path.with_name("ledger.damaged.json")
            self._path.replace(aside)
            logger.error("the ledger of alerts was damaged and is begun anew; the old one is {}: {}", aside, exc)
            return _State()


def _entry(sections: tuple[Section, ...], channels: tuple[str, ...], now: float) -> Entry:
    return Entry(sections=sections, channels=channels, created_at=now, due_at=now)


def _recent(times: dict[str, float], now: float) -> dict[str, float]:
    kept = [(key, at) for key, at in times.items() if now - at < REMEMBER_S]
    return dict(sorted(kept, key=lambda item: item[1])[-_REMEMBERED:])
