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


def of(folder: Path, text: str) -> tuple[str, str]:
    path = folder / f"cpuinfo-{len(list(folder.iterdir()))}"
    path.write_text(text)
    return processor.cpu_name(path), processor.cpu_architecture(path)


def test_chips_of_one_name_are_told_apart(tmp_path: Path) -> None:
    chips = [
        CHIP.format(family=25, flags="avx512f avx512_vnni"),
        CHIP.format(family=26, flags="avx512f avx512_vnni"),
        CHIP.format(family=26, flags="avx512f avx512_vnni avx512_bf16"),
    ]
    found = [of(tmp_path, chip) for chip in chips]
    assert {name for name, _ in found} == {"AMD EPYC"}
    assert len({architecture for _, architecture in found}) == 3
    assert "cpu family 26 model 2 stepping 1 avx2 avx512f avx512_vnni avx512_bf16" in found[2][1]


def test_instructions_that_do_not_matter_change_nothing(tmp_path: Path) -> None:
    one, other = (of(tmp_path, CHIP.format(family=26, flags=flags)) for flags in ("", "rdrand aes"))
    assert one == other


def test_a_system_that_lists_no_processors_still_has_a_name(tmp_path: Path) -> None:
    assert processor.cpu_name(tmp_path / "nothing")
    assert processor.cpu_architecture(tmp_path / "nothing")


@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_backends_tell_the_architecture_they_run_on(backend: str) -> None:
    assert backend_for(backend).architecture == processor.cpu_architecture()
