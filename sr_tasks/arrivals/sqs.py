"""The SQS queue that buckets tell of new objects through. Deletes a message only when it is told to."""

import os
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from sr_tasks.errors import StorageUnavailable

HIDDEN_S = 300
"""For how long a received message is shown to nobody else; after that it comes again."""

_REGION = re.compile(r"(?:sqs|queue)\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?$")


@dataclass(frozen=True, kw_only=True)
class Received:
    """One message, and what deletes it."""

    body: str
    receipt: str


class Queue:
    """One SQS queue by its address. Every call raises StorageUnavailable if it cannot be done."""

    def __init__(self, address: str) -> None:
        self._address = address
        parts = urlsplit(address)
        found = _REGION.search(parts.hostname or "")
        region = found[1] if found else os.environ.get("AWS_DEFAULT_REGION", "us-east-1")
        config = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "max_attempts": 3})
        endpoint = f"{parts.scheme}://{parts.netloc}"
        self._client: Any = boto3.session.Session().client(
            "sqs", endpoint_url=endpoint, region_name=region, config=config
        )

    def receive(self, wait_s: int) -> list[Received]:
        """Up to ten messages, waiting for the first."""
        answer = self._call(
            "receive_message", MaxNumberOfMessages=10, WaitTimeSeconds=wait_s, VisibilityTimeout=HIDDEN_S
        )
        return [Received(body=row["Body"], receipt=row["ReceiptHandle"]) for row in answer.get("Messages", ())]

    def delete(self, receipt: str) -> None:
        """Deleting what is gone is a success."""
        self._call("delete_message", ReceiptHandle=receipt)

    def _call(self, verb: str, **arguments: Any) -> dict[str, Any]:
        try:
            return dict(getattr(self._client, verb)(QueueUrl=self._address, **arguments))
        except (ClientError, BotoCoreError) as exc:
            raise StorageUnavailable(
                f"The queue {self._address!r} did not serve {verb}: {exc}.",
                hint="Check the queue's address in SR_ARRIVALS_FILE, the credentials and the queue's policy.",
            ) from exc
