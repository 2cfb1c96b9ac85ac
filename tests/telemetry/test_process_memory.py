"""Memory of this process as the system counts it, against what psutil reads."""

from pathlib import Path

import psutil
import pytest

from sr_tasks.telemetry import process_memory


def test_memory_is_in_bytes_and_peaks_are_no_less_than_what_is_there() -> None:
    resident = psutil.Process().memory_info().rss
    data, size, peak, highest = process_memory.process_memory("VmData", "VmSize", "VmPeak", "VmHWM")
    assert resident / 2 < highest
    assert highest <= peak
    assert 0 < data <= size <= peak


def test_a_system_that_does_not_tell_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(process_memory, "STATUS", tmp_path / "nowhere")
    assert process_memory.process_memory("VmData", "VmHWM") == (0, 0)
