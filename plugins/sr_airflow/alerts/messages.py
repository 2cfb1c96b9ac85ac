"""Turns alerts into a subject, Slack's mrkdwn and HTML, every value in them escaped. Sends nothing."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sr_airflow.alerts.alert import Alert, Kind
from sr_airflow.alerts.ledger import Entry, Section
from sr_tasks.telemetry.redaction import redacted

_TEMPLATES = Path(__file__).parent / "templates"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_MAX_VALUE = 1500
_MAX_SUBJECT = 150

HEADLINES: dict[Kind, str] = {
    Kind.FAILED: "Job failed",
    Kind.REFUSED: "Output refused, nothing was delivered",
    Kind.REVIEW: "A person has to decide",
    Kind.DEADLINE: "Deadline missed",
    Kind.DAG: "A Dag failed",
    Kind.ASIDE: "Not taken",
    Kind.RECOVERED: "Delivered after all",
    Kind.SUMMARY: "Summary",
    Kind.DONE: "Done",
}
_PLURALS: dict[Kind, str] = {
    Kind.FAILED: "jobs failed",
    Kind.REFUSED: "outputs were refused",
    Kind.REVIEW: "jobs wait for a person",
    Kind.DEADLINE: "deadlines were missed",
    Kind.DAG: "runs of a Dag failed",
    Kind.ASIDE: "files or messages were not taken",
    Kind.RECOVERED: "jobs were delivered after all",
    Kind.SUMMARY: "summaries",
    Kind.DONE: "jobs are done",
}


@dataclass(frozen=True, kw_only=True)
class Message:
    """What goes out. `subject` is one line of plain text."""

    subject: str
    mrkdwn: str
    html: str


def render(entry: Entry) -> Message:
    """The message of one alert, or of a digest."""
    first = entry.sections[0]
    is_digest = len(entry.sections) > 1 or first.count > 1
    name, values = ("digest", _digest(entry)) if is_digest else ("alert", _single(first.alerts[0]))
    return Message(
        subject=_line(values["subject"])[:_MAX_SUBJECT],
        mrkdwn=_environment("mrkdwn").get_template(f"{name}.mrkdwn.jinja").render(values),
        html=_environment("html").get_template(f"{name}.html.jinja").render(values),
    )


def _single(alert: Alert) -> dict[str, Any]:
    headline = _headline(alert)
    about = " ".join(filter(None, (alert.code, alert.job_id)))
    values = {"headline": headline, "alert": alert, "page": "Run" if alert.dag else "Job"}
    return {"subject": f"{headline}: {about}" if about else headline, **values}


def _headline(alert: Alert) -> str:
    if alert.dag and alert.kind is Kind.RECOVERED:
        return f"{alert.dag} works again"
    return f"{HEADLINES[alert.kind]}: {alert.dag}" if alert.dag else HEADLINES[alert.kind]


def _digest(entry: Entry) -> dict[str, Any]:
    sections = [
        {
            "title": _title(section),
            "first": section.alerts[-1],
            "alerts": section.alerts,
            "unlisted": section.count - len(section.alerts),
        }
        for section in entry.sections
    ]
    total = sum(section.count for section in entry.sections)
    return {
        "subject": f"{total} alerts held back: {', '.join(str(s['title']) for s in sections)}",
        "sections": sections,
    }


def _title(section: Section) -> str:
    alert = section.alerts[0]
    if section.count == 1:
        return f"1: {_headline(alert)}"
    of_dag = f": {alert.dag}" if alert.dag else ""
    return f"{section.count} {_PLURALS[alert.kind]}{of_dag}"


@cache
def _environment(kind: str) -> Environment:
    """Values are escaped where they are put in: by autoescape in HTML, by `finalize` in mrkdwn."""
    is_html = kind == "html"
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=is_html,
        finalize=_line if is_html else _mrkdwn,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _line(value: object) -> str:
    """The value on one line, without secrets, and not endless."""
    return _CONTROL.sub(" ", redacted(str(value)))[:_MAX_VALUE]


def _mrkdwn(value: object) -> str:
    """The three characters that Slack gives a meaning: without them no link, mention or channel call can begin."""
    return _line(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
