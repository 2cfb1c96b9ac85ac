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
