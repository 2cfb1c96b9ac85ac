"""Makes the buckets of SR_ALLOWED_BUCKETS and of logs on the S3 server beside Airflow. Changes none that is there."""

import os
from collections.abc import Mapping
from typing import Any

import boto3


def make_buckets(s3: Any, names: list[str]) -> list[str]:
    """Make those that are missing, patterns left out; returns the names of the new ones."""
    there = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    missing = [name for name in names if name not in there and "*" not in name]
    for name in missing:
        s3.create_bucket(Bucket=name)
    return missing


def wanted(env: Mapping[str, str]) -> list[str]:
    """Buckets that jobs may use, and where remote logging is on, that of the logs."""
    names = env["SR_ALLOWED_BUCKETS"].split(":")
    scheme, _, path = env.get("AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER", "").partition("://")
    return [*names, path.partition("/")[0]] if scheme == "s3" else names


if __name__ == "__main__":
    endpoint = os.environ["SR_S3_ENDPOINT_URL"]
    if not endpoint:
        print("Buckets of AWS are made by whoever owns them, not here.")
    else:
        made = make_buckets(boto3.client("s3", endpoint_url=endpoint), wanted(os.environ))
        print(f"Made: {', '.join(made) or 'none'}.")
