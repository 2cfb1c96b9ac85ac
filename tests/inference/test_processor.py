"""What a CPU is called, and what tells chips of one name apart."""

from pathlib import Path

import pytest

from sr_tasks.inference.backend import CPU_BACKENDS, backend_for
from sr_tasks.inference.backends import processor

CHIP = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: {family}
model\t\t: 2
model name\t: AMD EPYC
stepping\t: 1
flags\t\t: fpu sse2 avx2 {flags}

processor\t: 1
model name\t: another
"""


def of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> tuple[str, str]:
    path = tmp_path / "cpuinfo"
    path.write_text(text)
    monkeypatch.setattr(processor, "_CPUINFO", path)
    processor._facts.cache_clear()
    found = processor.cpu_name(), processor.cpu_architecture()
    processor._facts.cache_clear()
    return found


def test_chips_of_one_name_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chips = [
        CHIP.format(family=25, flags="avx512f avx512_vnni"),
        CHIP.format(family=26, flags="avx512f avx512_vnni"),
        CHIP.format(family=26, flags="avx512f avx512_vnni avx512_bf16"),
    ]
    found = [of(tmp_path, monkeypatch, chip) for chip in chips]
    assert {name for name, _ in found} == {"AMD EPYC"}
    assert len({architecture for _, architecture in found}) == 3
    assert "cpu family 26 model 2 stepping 1 avx2 avx512f avx512_vnni avx512_bf16" in found[2][1]


def test_instructions_that_do_not_matter_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (of(tmp_path, monkeypatch, CHIP.format(family=26, flags=flags)) for flags in ("", "rdrand aes"))
    assert one == other


def test_a_system_that_lists_no_processors_still_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "_CPUINFO", tmp_path / "nothing")
    processor._facts.cache_clear()
    assert processor.cpu_name()
    assert processor.cpu_architecture()
    processor._facts.cache_clear()


@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_backends_tell_the_architecture_they_run_on(backend: str) -> None:
    assert backend_for(backend).architecture == processor.cpu_architecture()
