"""The policies: each allows what its process does, on what is ours, and nothing that could be left out."""

import json
from typing import Any

import pytest

from tests.docker.dockerfiles import REPOSITORY

POLICIES: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((REPOSITORY / "docker/iam").glob("*.json"))
}
READ, WRITE = "arn:aws:s3:::example-videos", "arn:aws:s3:::example-enhanced"


def several(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def allowed(name: str) -> set[tuple[str, str]]:
    return {
        (action, resource)
        for statement in POLICIES[name]["Statement"]
        if statement["Effect"] == "Allow"
        for action in several(statement["Action"])
        for resource in several(statement["Resource"])
    }


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_is_one_and_allows_no_wildcard(name: str) -> None:
    policy = POLICIES[name]
    assert policy["Version"] == "2012-10-17"
    assert len({statement["Sid"] for statement in policy["Statement"]}) == len(policy["Statement"])
    for action, resource in allowed(name):
        assert "*" not in action, action
        assert resource != "*", action
        assert resource.startswith(("arn:aws:s3:::example-", "arn:aws:sqs:", "arn:aws:kms:", "arn:aws:secretsmanager:"))


@pytest.mark.parametrize("name", [name for name in POLICIES if not name.startswith(("uploads-queue", "output-bucket"))])
def test_nothing_can_be_deleted_or_changed_in_who_may_what(name: str) -> None:
    forbidden = (
        "s3:Delete",
        "s3:PutBucket",
        "s3:PutObjectAcl",
        "iam:",
        "sts:",
        "kms:Create",
        "kms:Put",
        "kms:ScheduleKey",
    )
    assert [action for action, _ in allowed(name) if action.startswith(forbidden)] == []


def test_a_worker_reads_sources_and_writes_outputs_and_never_the_other_way_round() -> None:
    pairs = allowed("worker")
    assert ("s3:GetObject", f"{READ}/*") in pairs
    assert {action for action, resource in pairs if resource == f"{READ}/*"} == {"s3:GetObject"}
    # An upload in parts, its abort, and reading back what was delivered.
    outputs = {action for action, resource in pairs if resource == f"{WRITE}/*"}
    assert outputs == {"s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:GetObject"}
    # Without it S3 answers 403 for an object that is not there.
    assert {("s3:ListBucket", READ), ("s3:ListBucket", WRITE)} <= pairs
    # Airflow asks whether a log is there before it writes it, and takes a 403 for an outage: the log would be lost.
    assert ("s3:ListBucket", "arn:aws:s3:::example-logs") in pairs


def test_people_see_reports_and_logs_and_no_videos() -> None:
    opened = {resource for action, resource in allowed("api-server") if action == "s3:GetObject"}
    assert opened == {f"{WRITE}/*.report.html", "arn:aws:s3:::example-logs/video-sr/*"}
    assert {action for action, _ in allowed("api-server")} == {"s3:GetObject", "s3:ListBucket"}


def test_nothing_goes_over_the_wire_in_the_clear() -> None:
    for name in ("worker", "output-bucket-kms"):
        (deny,) = [each for each in POLICIES[name]["Statement"] if each["Sid"] == "OnlyOverTls"]
        assert deny["Effect"] == "Deny"
        assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_keys_open_and_seal_through_s3_alone_and_only_for_these_buckets() -> None:
    for statement in POLICIES["worker-kms"]["Statement"]:
        assert statement["Condition"]["StringEquals"]["kms:ViaService"].startswith("s3.")
        assert statement["Condition"]["StringLike"]["kms:EncryptionContext:aws:s3:arn"]
    sealing = POLICIES["output-bucket-kms"]["Statement"][1]
    key = next(iter(sealing["Condition"]["StringNotEqualsIfExists"].values()))
    assert ("kms:GenerateDataKey", key) in allowed("worker-kms")
    assert {resource for action, resource in allowed("worker-kms") if action == "kms:GenerateDataKey"} == {key}


def test_uploads_are_taken_by_the_triggerer_and_put_by_the_bucket_alone() -> None:
    queue = "arn:aws:sqs:eu-central-1:111122223333:video-sr-uploads"
    assert {action for action, resource in allowed("triggerer") if resource == queue} == {
        *("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl")
    }
    (sending,) = POLICIES["uploads-queue"]["Statement"]
    assert sending["Principal"] == {"Service": "s3.amazonaws.com"}
    assert sending["Condition"]["ArnEquals"] == {"aws:SourceArn": READ}
    assert "aws:SourceAccount" in sending["Condition"]["StringEquals"], "else any account's bucket of that name could"
