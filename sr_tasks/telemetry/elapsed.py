"""A line in the log now and then while something takes long. Observes; changes nothing."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from loguru import logger

EVERY_S = 10.0


@contextmanager
def elapsed(what: str, every_s: float = EVERY_S) -> Iterator[None]:
    """Log `what` with the seconds so far, every `every_s` seconds until the block ends."""
    started, ended = time.monotonic(), threading.Event()

    def tell() -> None:
        while not ended.wait(every_s):
            logger.info("{}: {:.0f} s so far", what, time.monotonic() - started)

    thread = threading.Thread(target=tell, name="elapsed", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
