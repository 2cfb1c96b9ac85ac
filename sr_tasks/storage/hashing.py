"""Fingerprints of files, read once from start to end in constant memory, and of texts. Writes nothing."""

import hashlib
from pathlib import Path

BLOCK_BYTES = 1 << 20


def name_of(text: str) -> str:
    """A file name for any text, such as the id of a job: 32 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def sha256_file(path: Path) -> str:
    """SHA-256 of a file as 64 hexadecimal digits. Raises OSError if it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_parts(path: Path, part_bytes: int) -> bytes:
    """SHA-256 over the SHA-256 digests of the file's parts, 32 bytes: S3's checksum of a multipart object."""
    whole = hashlib.sha256()
    part, room = hashlib.sha256(), part_bytes
    with path.open("rb") as file:
        while block := file.read(min(BLOCK_BYTES, room)):
            part.update(block)
            room -= len(block)
            if not room:
                whole.update(part.digest())
                part, room = hashlib.sha256(), part_bytes
    if room < part_bytes:
        whole.update(part.digest())
    return whole.digest()
