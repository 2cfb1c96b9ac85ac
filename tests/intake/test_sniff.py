"""What a file is, said without running anything of it."""

import io
import json
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch

from sr_tasks.errors import InputNotFound, InputTooLarge, ModelInvalid
from sr_tasks.intake.sniff import sniff
from tests.intake.brought import convolutional, saved, settings_of

LIMIT = 1 << 24


class Touches:
    """Unpickled without care, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, (f"touch {self.path}",)


def refusal(path: Path) -> str:
    with pytest.raises(ModelInvalid) as caught:
        sniff(path, max_bytes=LIMIT)
    assert path.name in caught.value.message
    assert caught.value.hint
    return caught.value.message


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_weights_of_torch_are_known_in_both_of_its_formats(tmp_path: Path) -> None:
    state = {"params": torch.nn.Conv2d(3, 3, 3).state_dict()}
    torch.save(state, tmp_path / "new.pth")
    torch.save(state, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    for name in ("new.pth", "old.pt"):
        assert sniff(tmp_path / name, max_bytes=LIMIT).form == "torch"


def test_the_content_counts_and_not_the_name(tmp_path: Path) -> None:
    path = saved(convolutional(), tmp_path / "weights.pth")
    assert sniff(path, max_bytes=LIMIT).form == "onnx"


@pytest.mark.parametrize("is_new", [True, False])
def test_a_pickle_that_would_run_something_is_refused_by_the_name_of_it(tmp_path: Path, is_new: bool) -> None:
    flag, path = tmp_path / "flag", tmp_path / "evil.pth"
    torch.save({"params": Touches(flag)}, path, _use_new_zipfile_serialization=is_new)
    assert "system: code, not weights" in refusal(path)
    assert not flag.exists()


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_bare_pickle_is_refused_whatever_its_protocol(tmp_path: Path, protocol: int) -> None:
    flag = tmp_path / "flag"
    path = written(tmp_path / "bare.pth", pickle.dumps({"state": Touches(flag)}, protocol=protocol))
    assert "system: code, not weights" in refusal(path)
    assert not flag.exists()
    assert "not of torch" in refusal(written(tmp_path / "plain.pth", pickle.dumps({"a": 1}, protocol=protocol)))


def test_a_whole_module_is_refused_as_code(tmp_path: Path) -> None:
    path = tmp_path / "module.pth"
    torch.save(torch.nn.Conv2d(3, 3, 3), path)
    assert "torch.nn.modules.conv.Conv2d: code, not weights" in refusal(path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_refused_as_a_program(tmp_path: Path) -> None:
    path = tmp_path / "script.pt"
    torch.jit.save(torch.jit.script(torch.nn.Conv2d(3, 3, 3)), path)
    assert "code/ in it: TorchScript" in refusal(path)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html>404</html>", "an HTML page"),
        (b"\n\n  <html lang=en>", "an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "a Git LFS pointer"),
        (b"GGUF\x03\x00\x00\x00", "a GGUF file"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"7767517\n76 85\n", "an ncnn .param text"),
        (b"\x7fELF\x02\x01", "a program"),
        (b"\x89PNG\r\n\x1a\n", "a picture"),
        (b"dear diary", "a text that begins 'dear diary'"),
        (bytes(range(200, 256)), "nothing known; its first bytes are c8 c9"),
        (b"PK\x03\x04 and no more", "nothing known"),
    ],
)
def test_other_files_are_refused_in_words(tmp_path: Path, data: bytes, words: str) -> None:
    assert words in refusal(written(tmp_path / "weights.pth", data))


def test_archives_without_weights_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("a.txt", "a")
    assert "a ZIP of 1 files (a.txt" in refusal(tmp_path / "photos.zip")
    with tarfile.open(tmp_path / "old.pth", "w") as tar:
        tar.addfile(tarfile.TarInfo("pickle"), io.BytesIO())
    assert "a TAR archive" in refusal(tmp_path / "old.pth")


def test_a_zip_that_swells_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * (80 << 20))
    assert "unpack to far more" in refusal(tmp_path / "bomb.pth")


def test_truncated_files_are_called_damaged(tmp_path: Path) -> None:
    torch.save(torch.nn.Conv2d(3, 3, 3).state_dict(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    old = (tmp_path / "old.pth").read_bytes()
    assert "a damaged pickle" in refusal(written(tmp_path / "cut.pth", old[:120]))
    header = json.dumps({"a": {"dtype": "F32"}}).encode()[:-4]
    cut = struct.pack("<Q", len(header)) + header
    assert "damaged header" in refusal(written(tmp_path / "cut.safetensors", cut))


def test_size_is_limited_and_a_missing_file_is_missed(tmp_path: Path) -> None:
    path = saved(convolutional(), tmp_path / "net.onnx")
    with pytest.raises(InputTooLarge, match="SR_MAX_WEIGHTS_BYTES"):
        sniff(path, max_bytes=100)
    with pytest.raises(InputNotFound):
        sniff(tmp_path / "none.pth", max_bytes=LIMIT)
    assert settings_of(tmp_path).max_weights_bytes > 1 << 30
