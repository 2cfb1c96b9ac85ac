"""From the bodies of notifications to files that are wanted, looked up as they are now. Submits nothing."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from loguru import logger

from sr_tasks.arrivals.files import Arrived, looked_up
from sr_tasks.arrivals.jobs import watch_of
from sr_tasks.arrivals.notices import notices
from sr_tasks.arrivals.rules import Rules
from sr_tasks.config import Settings
from sr_tasks.errors import SrError, TransientError
from sr_tasks.storage import uris
from sr_tasks.storage.uris import S3Object

if TYPE_CHECKING:
    from sr_tasks.storage.s3 import ObjectStore


def announced(body: str, rules: Rules, store: "ObjectStore", settings: Settings) -> list[Arrived] | None:
    """The wanted files a message speaks of: [] if it can be forgotten, None if it should come again.

    What is no notification is logged and forgotten: the listing finds every object that a message fails to name.
    """
    try:
        locations = _allowed(((notice.bucket, notice.key) for notice in notices(body)), settings)
        return [found for found in looked_up(locations, store) if watch_of(found, rules.uploads)]
    except TransientError as exc:
        logger.warning("A notification will come again: {}", exc)
        return None
    except SrError as exc:
        logger.warning("A notification is left to the listing: {}", exc)
        return []


def _allowed(objects: Iterable[tuple[str, str]], settings: Settings) -> list[S3Object]:
    found = (uris.parse(f"s3://{bucket}/{key}", settings) for bucket, key in objects if not key.endswith("/"))
    return [location for location in found if isinstance(location, S3Object)]
