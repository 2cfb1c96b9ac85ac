"""From an alert to the channels of this deployment: posts to the ledger and sends what is due. Knows no job."""

from loguru import logger

from sr_airflow.alerts import channels, messages
from sr_airflow.alerts.alert import Alert
from sr_airflow.alerts.ledger import Entry, Ledger, Section
from sr_tasks.config import Settings
from sr_tasks.telemetry.redaction import redacted

_AT_ONCE = 50
"""Messages one call sends at most; the next call goes on."""


def ledger(settings: Settings) -> Ledger:
    return Ledger(
        settings.state_dir / "alerts",
        quiet_s=settings.alert_quiet_minutes * 60,
        channels=channels.configured(settings),
    )


def tell(alert: Alert, settings: Settings) -> None:
    """Send an alert, or hold it back for a digest. One that was told before is left out.

    Where the ledger cannot be written, as on a full disk, it is sent at once: told twice is better than never.
    """
    book = ledger(settings)
    try:
        if book.post(alert):
            deliver(book)
    except OSError as exc:
        logger.error("the ledger of alerts cannot be written, so this one is sent without it: {}", exc)
        told = channels.configured(settings)[alert.audience]
        _send(Entry(sections=(Section(count=1, alerts=(alert,)),), channels=told, created_at=0.0, due_at=0.0))


def deliver(book: Ledger) -> dict[str, int]:
    """Send what is due, digests among it; what a channel does not take stays for a later call.

    Returns how many messages all channels took (`sent`), and how many not (`kept`).
    """
    outcome = {"sent": 0, "kept": 0}
    for _ in range(_AT_ONCE):
        entry = book.claim()
        if entry is None:
            break
        failed = _send(entry)
        book.settle(entry, failed)
        outcome["kept" if failed else "sent"] += 1
    return outcome


def _send(entry: Entry) -> tuple[str, ...]:
    """The channels that did not take the message."""
    message, failed = messages.render(entry), []
    for channel in entry.channels:
        try:
            channels.send(channel, message)
        except Exception as exc:  # whatever a notifier raises, the job and the other channels go on
            failed.append(channel)
            logger.warning("the alert {!r} did not go to {}: {}", message.subject, channel, redacted(repr(exc)))
    return tuple(failed)
