"""Sends a rendered message through one of Airflow's notifiers. Knows neither jobs nor the ledger."""

from collections.abc import Mapping

from airflow.sdk import BaseNotifier

from sr_airflow.alerts.alert import Audience
from sr_airflow.alerts.messages import Message
from sr_tasks.config import Settings
from sr_tasks.errors import UsageError

_TIMEOUT_S = 15


def configured(settings: Settings) -> Mapping[Audience, tuple[str, ...]]:
    """The channels of each audience, as `slack:<connection>` and `mail:<connection>:<address>,<address>`.

    Reviewers without channels of their own are told where operations are; that a job is done is told only where asked.
    """
    operations = _channels(settings.alert_slack, settings.alert_email, settings)
    reviewers = _channels(settings.review_slack, settings.review_email, settings)
    return {
        Audience.OPERATIONS: operations,
        Audience.REVIEWERS: reviewers or operations,
        Audience.REQUESTERS: _channels(settings.done_slack, settings.done_email, settings),
    }


def _channels(slack: str, addresses: tuple[str, ...], settings: Settings) -> tuple[str, ...]:
    found = [f"slack:{slack}"] if slack else []
    if addresses:
        found.append(f"mail:{settings.alert_email_connection}:{','.join(addresses)}")
    return tuple(found)


def send(channel: str, message: Message) -> None:
    """Raises whatever the notifier raises.

    The notifiers are called past their own templating: the text is ready, and a file name like `{{ ... }}` in it is
    not to be run.
    """
    kind, _, rest = channel.partition(":")
    if kind == "slack":
        from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier

        notifier: BaseNotifier = SlackWebhookNotifier(
            slack_webhook_conn_id=rest, text=message.mrkdwn, unfurl_links=False, timeout=_TIMEOUT_S
        )
    elif kind == "mail":
        from airflow.providers.smtp.notifications.smtp import SmtpNotifier

        connection, _, addresses = rest.partition(":")
        notifier = SmtpNotifier(
            to=addresses.split(","), subject=message.subject, html_content=message.html, smtp_conn_id=connection
        )
    else:
        raise UsageError(f"{channel!r} is no channel for alerts.", hint="Channels are `slack:...` and `mail:...`.")
    notifier.notify({})
