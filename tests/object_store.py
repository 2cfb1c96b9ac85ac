"""An S3 and SQS of the test's own, over HTTP. Credentials are the test's business."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from moto.server import ThreadedMotoServer


@contextmanager
def serving() -> Iterator[str]:
    """Give the address of an empty one. Servers of a process share one memory: what others left in it is cleared."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        httpx.post(f"http://{host}:{port}/moto-api/reset", timeout=120, trust_env=False).raise_for_status()
        yield f"http://{host}:{port}"
    finally:
        server.stop()
