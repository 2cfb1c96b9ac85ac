"""Files that people send: `<workdir>/uploads/<id>/` with a record and the file, which arrives in pieces.

What has arrived is the length of the partial file, so a server that is killed loses nothing that was written. The file
gets its name once it is whole and does not look like something that is no video. Knows no protocol.
"""

import os
import re
import secrets
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Final

from pydantic import BaseModel, ConfigDict

from sr_tasks.config import Settings
from sr_tasks.errors import DiskTooSmall, InputInvalid, InputNotFound, InputTooLarge, UsageError
from sr_tasks.storage import failures, transfer
from sr_tasks.storage.atomic import sync, write_text

FOLDER: Final = "uploads"
_RECORD = "upload.json"
_ID = re.compile(r"[0-9a-f]{24}")
_LOOK_BYTES = 4096
_NO_VIDEO: Final = (
    (b"PK\x03\x04", "an archive"),
    (b"\x1f\x8b", "an archive"),
    (b"7z\xbc\xaf", "an archive"),
    (b"Rar!", "an archive"),
    (b"%PDF", "a PDF"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
)
_TEXT_OF_VIDEO: Final = (b"YUV4MPEG2",)
"""What videos in text may begin with."""


class Upload(BaseModel):
    """One upload. `id` is also the name of its folder."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    """Of the file, without folders."""
    size_bytes: int
    user: str
    begun_at: datetime

    def folder(self, settings: Settings) -> Path:
        return settings.workdir / FOLDER / self.id

    def partial(self, settings: Settings) -> Path:
        return self.folder(settings) / ".arriving"

    def path(self, settings: Settings) -> Path:
        """Where the whole file is."""
        return self.folder(settings) / self.name

    def is_whole(self, settings: Settings) -> bool:
        return self.path(settings).is_file()

    def received_bytes(self, settings: Settings) -> int:
        if self.is_whole(settings):
            return self.size_bytes
        with failures.reading(self.name):
            return self.partial(settings).stat().st_size


def begin(name: str, size_bytes: int, user: str, settings: Settings) -> Upload:
    """Make room for a file. Raises UsageError for a name that is none, InputInvalid for an empty file, InputTooLarge,
    DiskTooSmall and TargetUnwritable."""
    plain = PurePath(name.replace("\\", "/")).name
    if not plain or plain.startswith(".") or len(os.fsencode(plain)) > 200 or not plain.isprintable():
        raise UsageError(f"{name!r} is not the name of a file.", hint="Send one of up to 200 bytes.")
    if size_bytes < 1:
        raise InputInvalid(f"{plain!r} is empty.", hint="Send the file itself.")
    if size_bytes > settings.max_source_bytes:
        raise InputTooLarge(
            f"{plain!r} has {size_bytes} bytes; up to {settings.max_source_bytes} are taken.",
            hint="SR_MAX_SOURCE_BYTES is the limit.",
        )
    free = transfer.free_bytes(settings.workdir) - settings.min_free_bytes
    if size_bytes > free:
        raise DiskTooSmall(
            f"{plain!r} has {size_bytes} bytes, and there is room for {max(0, free)}.",
            hint="Send it to the object store, or free some space in SR_WORKDIR.",
        )
    upload = Upload(id=secrets.token_hex(12), name=plain, size_bytes=size_bytes, user=user, begun_at=datetime.now(UTC))
    with failures.writing(upload.folder(settings)):
        write_text(upload.folder(settings) / _RECORD, upload.model_dump_json())
        upload.partial(settings).touch()
    return upload


def find(upload_id: str, settings: Settings) -> Upload:
    """Raises InputNotFound."""
    if _ID.fullmatch(upload_id):
        path = settings.workdir / FOLDER / upload_id / _RECORD
        with failures.reading(path):
            return Upload.model_validate_json(path.read_bytes())
    raise InputNotFound(f"There is no upload {upload_id!r}.", hint="Begin one with POST /uploads.")


def settle(upload: Upload, settings: Settings) -> None:
    """Flush what has arrived; give the file its name if it is whole. Raises InputInvalid, and removes the file, if it
    is no video at first sight. Whether it is one `validate` says."""
    partial = upload.partial(settings)
    with failures.writing(partial):
        sync(partial)
        if partial.stat().st_size < upload.size_bytes:
            return
        with partial.open("rb") as file:
            what = _disguise(file.read(_LOOK_BYTES))
        if what:
            partial.unlink()
            raise InputInvalid(f"{upload.name!r} is {what}, not a video.", hint="Send the video itself.")
        os.replace(partial, upload.path(settings))


def _disguise(head: bytes) -> str:
    """What a file is that is surely no video, by its first bytes; empty for what may be one."""
    for magic, what in _NO_VIDEO:
        if head.startswith(magic):
            return what
    if head.startswith(_TEXT_OF_VIDEO) or b"\0" in head:
        return ""
    try:
        text = head[:-3].decode("utf-8")
    except UnicodeDecodeError:
        return ""
    return "text" if all(sign.isprintable() or sign.isspace() for sign in text) else ""
