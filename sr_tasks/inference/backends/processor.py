"""What the CPU is, to the letter: the name people know and the instructions that compiled code depends on."""

import platform
from functools import cache
from pathlib import Path
from typing import Final

CPUINFO: Final = Path("/proc/cpuinfo")
_FIELDS = ("vendor_id", "cpu family", "model", "stepping", "CPU implementer", "CPU part", "CPU variant")
_FLAGS = (
    "avx2", "fma", "avx512f", "avx512vl", "avx512_vnni", "avx512_bf16", "avx512_fp16", "avx_vnni", "amx_tile",
    "amx_bf16", "amx_int8", "amx_fp16", "asimd", "asimddp", "bf16", "i8mm", "sve", "sve2",
)  # fmt: skip


def cpu_name(listing: Path = CPUINFO) -> str:
    """As the maker calls it; cloud machines of quite different chips may share a name."""
    return _facts(listing).get("model name") or platform.processor() or platform.machine()


def cpu_architecture(listing: Path = CPUINFO) -> str:
    """Machine, maker, family, model, stepping and those instructions that decide how a network is computed."""
    facts = _facts(listing)
    flags = set((facts.get("flags") or facts.get("Features") or "").split())
    known = [f"{name} {facts[name]}" for name in _FIELDS if name in facts]
    return " ".join([platform.machine(), *known, *(flag for flag in _FLAGS if flag in flags)])


@cache
def _facts(listing: Path) -> dict[str, str]:
    """Of the first processor listed; empty where the system lists none."""
    if not listing.is_file():
        return {}
    lines = listing.read_text(encoding="utf-8", errors="replace").split("\n\n")[0].splitlines()
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}
