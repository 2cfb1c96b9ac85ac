"""What a cluster lets others see: who it listens to, and what is in all that it writes."""

import subprocess
from collections.abc import Iterator

import psutil
import pytest

from tests.cluster.stack import Cluster, until

pytestmark = pytest.mark.cluster


def test_nothing_listens_but_to_this_machine(cluster: Cluster) -> None:
    listening = {}
    for process in cluster.processes():
        try:
            opened = process.net_connections("inet")
        except psutil.NoSuchProcess:  # a child of a moment
            continue
        listening |= {one.laddr.port: one.laddr.ip for one in opened if one.status == psutil.CONN_LISTEN}
    assert set(listening.values()) == {"127.0.0.1"}


def written(cluster: Cluster) -> Iterator[tuple[str, bytes]]:
    """All that the cluster has written, by place: files, objects, both databases, what StatsD was told."""
    for part in ("output", "homes", "scratch", "models", "rabbitmq/log"):
        files = (path for path in (cluster.folder / part).rglob("*") if path.is_file())
        yield part, b"\n".join(path.read_bytes() for path in files)
    s3 = cluster.aws("s3")
    for bucket in ("enhanced", "logs"):
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        keys = [row["Key"] for page in pages for row in page["Contents"] if not row["Key"].endswith(".mp4")]
        yield bucket, b"\n".join(s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys)
    for name in ("airflow", "celery"):
        dump = subprocess.run(["pg_dump", name], env=cluster.database, check=True, capture_output=True)
        yield f"database {name}", dump.stdout
    yield "StatsD", bytes(cluster.statsd.heard)


def test_no_secret_is_in_anything_that_was_written(cluster: Cluster, enlarged: str) -> None:
    until(lambda: cluster.client.run_state(enlarged) == "success", "there is a job's worth of everything")
    names = ("postgres_password", "celery_db_password", "rabbitmq_password", "s3_secret_key", "admin_password",
             "jwt_secret", "api_secret_key", "fernet_key")  # fmt: skip
    secrets = {name: cluster.secret(name).encode() for name in names}
    everything = dict(written(cluster))
    assert all(everything.values()), "a place that is empty proves nothing"
    for place in ("scratch", "output", "enhanced", "logs", "database airflow"):
        assert enlarged.encode() in everything[place], f"{place} says nothing of the job"
    found = [
        (name, place) for name, secret in secrets.items() for place, content in everything.items() if secret in content
    ]
    assert found == []
