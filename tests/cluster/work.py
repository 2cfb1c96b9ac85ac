"""What is asked of a cluster: its rules for arrivals, jobs, and notifications of a bucket."""

from pathlib import Path
from typing import Any

from tests.cluster.stack import Cluster

JOB = {"model": "bicubic", "preset": "ultrafast"}
OUTPUT = "s3://enhanced/{folder}{stem}_x{scale}{suffix}"
ARRIVALS = {
    "max_waiting": 1000,
    "uploads": [{"prefix": "s3://videos/in/", "output": OUTPUT, "settle_s": 0, "job": JOB}],
    "archives": [{"prefix": "s3://videos/archive/", "output": OUTPUT.replace("/{", "/archive/{", 1), "job": JOB}],
}


def submit(cluster: Cluster, job_id: str, source: Path, **request: Any) -> None:
    """Upload a video and have it enlarged from bucket to bucket."""
    cluster.aws("s3").upload_file(str(source), "videos", f"{job_id}.mp4")
    conf = {"source": f"s3://videos/{job_id}.mp4", "output": f"s3://enhanced/{job_id}.mp4", "model": "bicubic"}
    cluster.client.trigger(job_id, {**conf, **request})


def tell_the_queue(cluster: Cluster) -> None:
    """From now on the bucket sends a message for each new object."""
    sqs = cluster.aws("sqs")
    queue = sqs.get_queue_url(QueueName="uploads")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    told = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    cluster.aws("s3").put_bucket_notification_configuration(Bucket="videos", NotificationConfiguration=told)
