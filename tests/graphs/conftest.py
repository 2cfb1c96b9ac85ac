"""Child processes, so that tests can race for a registry and kill those who write to it."""

from tests.storage.conftest import child

__all__ = ["child"]
