"""What the system says of the memory of this process. Limits nothing."""

from pathlib import Path

STATUS = Path("/proc/self/status")


def process_memory(*names: str) -> tuple[int, ...]:
    """Bytes of the fields that Linux names so (`VmData` private, `VmSize` and `VmPeak` reserved now and at most,
    `VmHWM` resident at most); 0 for each where the system does not tell."""
    if not STATUS.exists():
        return tuple(0 for _ in names)
    fields = dict(line.split(":", 1) for line in STATUS.read_text(encoding="utf-8").splitlines())
    return tuple(int(fields[name].split()[0]) << 10 for name in names)
