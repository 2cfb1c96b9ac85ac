"""Makes the buckets of SR_ALLOWED_BUCKETS on the S3 server that runs beside Airflow. Changes none that is there."""

import os
from typing import Any

import boto3


def make_buckets(s3: Any, names: list[str]) -> list[str]:
    """Make those that are missing, patterns left out; returns the names of the new ones."""
    there = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    missing = [name for name in names if name not in there and "*" not in name]
    for name in missing:
        s3.create_bucket(Bucket=name)
    return missing


if __name__ == "__main__":
    endpoint = os.environ["SR_S3_ENDPOINT_URL"]
    if not endpoint:
        print("Buckets of AWS are made by whoever owns them, not here.")
    else:
        made = make_buckets(boto3.client("s3", endpoint_url=endpoint), os.environ["SR_ALLOWED_BUCKETS"].split(":"))
        print(f"Made: {', '.join(made) or 'none'}.")
