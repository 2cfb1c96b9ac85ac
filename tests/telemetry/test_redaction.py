"""Secrets are masked in whatever shape they come, and ordinary text is left alone."""

import pytest

from sr_tasks.telemetry.redaction import redacted

HIDDEN = "hidden9Q7"


@pytest.mark.parametrize(
    "text",
    [
        f"https://b.s3.amazonaws.com/k?X-Amz-Credential={HIDDEN}%2F2024&X-Amz-Date=1",
        f"https://b/k?a=1&X-Amz-Signature={HIDDEN}",
        f"https://b/k?x-amz-security-token={HIDDEN}&b=2",
        f"https://b/k?AWSAccessKeyId=x&Signature={HIDDEN}",
        f"https://host/path?token={HIDDEN}",
        f"postgresql://user:{HIDDEN}@host/db",
        f"password={HIDDEN}",
        f"PASSWORD: {HIDDEN}",
        f"db_password='{HIDDEN} with spaces'",
        f'{{"password": "{HIDDEN}", "a": 1}}',
        f"{{'aws_secret_access_key': '{HIDDEN}'}}",
        f"AWS_SECRET_ACCESS_KEY={HIDDEN}/+abc",
        f"aws_session_token={HIDDEN}",
        f"api-key: {HIDDEN}",
        f"Authorization: Bearer {HIDDEN}",
        f"Authorization: Basic {HIDDEN}",
        f"'Authorization': 'AWS4-HMAC-SHA256 Credential={HIDDEN}/x, SignedHeaders=host, Signature={HIDDEN}'",
        f"sent Bearer {HIDDEN}",
    ],
)
def test_a_secret_is_masked(text: str) -> None:
    masked = redacted(text)
    assert HIDDEN not in masked
    assert "***" in masked
    assert redacted(masked).count(HIDDEN) == 0


def test_access_key_ids_are_masked_anywhere() -> None:
    assert redacted("key AKIAIOSFODNN7EXAMPLE of ASIAIOSFODNN7EXAMPLE.") == "key *** of ***."


@pytest.mark.parametrize(
    "text",
    [
        "chunk 3 of 7 committed in 61.2 s, 12.3 fps",
        "/videos/tokens of love/secret garden.mp4",
        "s3://media/in/a.mp4 has 377 frames",
        "basic enhancement of the password scene",
        "http://127.0.0.1:8080/ui?job=manual__2024-01-01T00:00:00",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize(
    "text",
    [
        f"amqp://jobs:{HIDDEN}@rabbit.example.org:5672/vhost",
        f"amqps://jobs:p@{HIDDEN}@rabbit/",
        f"Could not reach amqp://:{HIDDEN}@rabbit/: refused",
        f"postgresql+psycopg2://sr:{HIDDEN}@db:5432/airflow?sslmode=require",
        f"(sqlite3.OperationalError) redis://:{HIDDEN}@cache:6379/0",
        f"smtp://me%40example.org:{HIDDEN}@mail:587/?from_email=a",
        f"https://hooks.slack.com/services/T024BE7LD/B024BE7LH/{HIDDEN}",
        f"HTTPConnectionPool(host='h', port=1): Max retries exceeded with url: /services/T0/B0/{HIDDEN} (Caused by x)",
        f"https://example.webhook.office.com/webhookb2/{HIDDEN}@1/IncomingWebhook/2/3",
        f"https://discord.com/api/webhooks/1234/{HIDDEN}",
        f"https://storage.googleapis.com/b/k?X-Goog-Signature={HIDDEN}",
        f"https://h/?next=https%3A%2F%2Fb%2Fk%3FX-Amz-Signature%3D{HIDDEN}%26a%3D1",
        f'{{"conn_type": "smtp", "password": "with \\"quotes\\" {HIDDEN}"}}',
        f'cannot parse "{{\\"password\\": \\"{HIDDEN}\\", \\"host\\": \\"h\\"}}"',
    ],
)
def test_a_secret_of_a_deployment_is_masked(text: str) -> None:
    assert HIDDEN not in redacted(text)
    assert "***" in redacted(text)


def test_what_stands_beside_a_secret_stays() -> None:
    assert redacted("amqp://jobs:pw-1@rabbit:5672/v is down") == "amqp://jobs:***@rabbit:5672/v is down"
    assert redacted("https://h/k?X-Amz-Signature=abc&versionId=7") == "https://h/k?X-Amz-Signature=***&versionId=7"
    assert redacted('{"password": "a\\"b", "host": "h"}') == '{"password": ***, "host": "h"}'
