"""Hashes of files against hashes of the same bytes in memory."""

import hashlib
import random
from pathlib import Path

import pytest

from sr_tasks.storage.hashing import sha256_file, sha256_of_parts


@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 200, 3_000_001])
def test_hashes_equal_those_of_the_bytes(tmp_path: Path, size: int) -> None:
    data = random.Random(size).randbytes(size)
    path = tmp_path / "f"
    path.write_bytes(data)
    assert sha256_file(path) == hashlib.sha256(data).hexdigest()
    for part in (100, 1 << 20):
        parts = b"".join(hashlib.sha256(data[at : at + part]).digest() for at in range(0, size, part))
        assert sha256_of_parts(path, part) == hashlib.sha256(parts).digest()
