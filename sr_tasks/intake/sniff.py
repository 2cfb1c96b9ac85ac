"""Says what a file is by reading it, without loading or running anything of it. Knows no architecture."""

import io
import json
import pickletools
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from sr_tasks.errors import InputTooLarge, ModelInvalid
from sr_tasks.intake.ncnn import file as ncnn_file
from sr_tasks.storage.failures import reading

Form = Literal["torch", "safetensors", "onnx", "ncnn"]

_HEAD_BYTES = 512
_MAX_PICKLE_BYTES = 64 << 20
_MAX_HEADER_BYTES = 64 << 20
_MAX_PROTOBUF_BYTES = (2 << 30) - 1
_MAX_MEMBERS = 200_000
_LEGACY_TORCH = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
_LEGACY_PICKLES = 4
"""Magic number, protocol, system, and the object itself; raw tensors follow."""
_HINT = "Bring a .pth, .pt or .safetensors file of a known architecture, an .onnx file, or an ncnn .param and .bin."
_SAVE_HINT = "Save the weights alone: torch.save(model.state_dict(), FILE), or a .safetensors file."

_PLAIN = frozenset(
    {
        "collections.OrderedDict",
        "typing.OrderedDict",
        "torch._utils._rebuild_tensor_v2",
        *(f"torch.{kind}Storage" for kind in ("BFloat16", "Float", "Half", "Int", "Long", "Double")),
    }
)
"""All that a pickle of tensors needs, and all that spandrel's unpickler lets through."""

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs.github.com/spec/", "a Git LFS pointer, not the file it points to"),
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<?xml", "an XML text (OpenVINO's .xml, say)"),
    (b"gguf", "a GGUF file"),
    (b"\x89hdf", "an HDF5 file (Keras)"),
    (b"7767517", "an ncnn .param text without its .bin"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"bzh", "a bzip2 archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"rar!", "a RAR archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"\x7felf", "a program"),
    (b"mz", "a program"),
    (b"#!", "a script"),
    (b"\x89png", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"%pdf", "a PDF"),
    (b"\x93numpy", "a NumPy array"),
)
"""In small letters; leading white space is passed over."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A file that may hold a network: its form, and in words what it is."""

    form: Form
    words: str


def sniff(path: Path, *, max_bytes: int) -> Finding:
    """What kind of weight file this is. Raises ModelInvalid with what was found if it is none or holds code,
    InputTooLarge, InputNotFound or InputUnreadable."""
    with reading(path):
        size = path.stat().st_size
        if size > max_bytes:
            raise InputTooLarge(
                f"The file {path.name!r} has {size} bytes, allowed are {max_bytes}.",
                hint="Raise SR_MAX_WEIGHTS_BYTES if that is right.",
            )
        if size == 0:
            raise _refused(path, "an empty file", "Fetch it again.")
        with path.open("rb") as file:
            return _of(path, file, size)


def _of(path: Path, file: IO[bytes], size: int) -> Finding:
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    if zipfile.is_zipfile(path) and head.startswith(b"PK"):
        return _of_zip(path, size)
    if head[257:262] == b"ustar":
        raise _refused(path, "a TAR archive")
    if head.startswith(_LEGACY_TORCH):
        return _of_legacy(path, file)
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        raise _of_pickle(path, file)
    if _is_safetensors(head, size):
        return _of_safetensors(path, file)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for signature, words in _SIGNATURES:
        if text.startswith(signature):
            raise _refused(path, words)
    if (finding := _of_protobuf(path, size)) is not None:
        return finding
    raise _refused(path, _unknown(head))


def _of_zip(path: Path, size: int) -> Finding:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > _MAX_MEMBERS or sum(one.file_size for one in members) > 2 * size + _MAX_PICKLE_BYTES:
                raise _refused(path, "a ZIP that would unpack to far more than it is")
            if ncnn_file.is_pair(archive):
                return Finding(form="ncnn", words="a network of ncnn")
            _refuse_code(path, [one.filename for one in members])
            pickled = next((one for one in members if _inner(one.filename) == "data.pkl"), None)
            if pickled is None:
                names = ", ".join(one.filename for one in members[:3])
                raise _refused(path, f"a ZIP of {len(members)} files ({names}, ...) without weights of torch")
            if pickled.file_size > _MAX_PICKLE_BYTES:
                raise _refused(path, f"a ZIP whose data.pkl has {pickled.file_size} bytes")
            _refuse_imports(path, io.BytesIO(archive.read(pickled)), pickles=1)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as exc:
        raise _refused(path, f"a damaged ZIP ({exc})", "Fetch it again.") from exc
    return Finding(form="torch", words="weights of torch")


def _refuse_code(path: Path, names: list[str]) -> None:
    inner = [_inner(name) for name in names]
    if any(name.startswith("code/") or name == "constants.pkl" for name in inner):
        raise _refused(path, "a ZIP with code/ in it: TorchScript, which holds a program", _SAVE_HINT)
    if any(name in ("archive_format", "model.json") or name.startswith("models/") for name in inner):
        raise _refused(path, "an archive of torch.export, which holds a program", _SAVE_HINT)


def _inner(name: str) -> str:
    """A member's name without the folder that torch puts everything in."""
    return name.partition("/")[2] or name


def _of_legacy(path: Path, file: IO[bytes]) -> Finding:
    _refuse_imports(path, file, pickles=_LEGACY_PICKLES)
    return Finding(form="torch", words="weights of torch, in the form before 1.6")


def _of_pickle(path: Path, file: IO[bytes]) -> ModelInvalid:
    """The refusal of a pickle that torch did not write."""
    _refuse_imports(path, file, pickles=1)
    return _refused(path, "a pickle, but not of torch", _SAVE_HINT)


def _refuse_imports(path: Path, file: IO[bytes], *, pickles: int) -> None:
    """Read the pickle's instructions, run none, and refuse what would import more than tensors need.

    This finds the words for a refusal. What keeps code from running is the restricted unpickler, which looks again.
    """
    try:
        for _ in range(pickles):
            foreign = sorted(_imports(file) - _PLAIN)
            if foreign:
                what = ", ".join(foreign[:3])
                raise _refused(path, f"a pickle that imports {what}: code, not weights", _SAVE_HINT)
    except (ValueError, UnicodeDecodeError, IndexError) as exc:
        raise _refused(path, f"a damaged pickle ({exc})", "Fetch it again.") from exc


def _imports(file: IO[bytes]) -> set[str]:
    found: set[str] = set()
    strings: list[str] = []
    memo: dict[int, str] = {}
    for opcode, argument, position in pickletools.genops(file):
        if position is not None and position > _MAX_PICKLE_BYTES:
            raise ValueError("it has too many instructions")
        name = opcode.name
        if name in ("GLOBAL", "INST"):
            found.add(str(argument).replace(" ", "."))
        elif name == "STACK_GLOBAL":
            found.add(".".join(strings[-2:]))
        elif name.startswith("EXT"):
            found.add(f"extension {argument}")
        elif "UNICODE" in name or "STRING" in name:
            strings.append(str(argument))
        elif name == "MEMOIZE":
            memo[len(memo)] = strings[-1] if strings else ""
        elif "PUT" in name:
            memo[int(str(argument))] = strings[-1] if strings else ""
        elif "GET" in name:
            strings.append(memo.get(int(str(argument)), ""))
    return found


def _is_safetensors(head: bytes, size: int) -> bool:
    length = int.from_bytes(head[:8], "little")
    return len(head) > 8 and head[8:9] == b"{" and 2 <= length <= size - 8


def _of_safetensors(path: Path, file: IO[bytes]) -> Finding:
    length = int.from_bytes(file.read(8), "little")
    if length > _MAX_HEADER_BYTES:
        raise _refused(path, f"a safetensors file with a header of {length} bytes")
    try:
        header = json.loads(file.read(length))
    except (ValueError, RecursionError) as exc:
        raise _refused(path, "a safetensors file with a damaged header", "Fetch it again.") from exc
    tensors = [name for name in header if name != "__metadata__"] if isinstance(header, dict) else []
    if not tensors:
        raise _refused(path, "a safetensors file without tensors")
    return Finding(form="safetensors", words=f"safetensors with {len(tensors)} tensors")


def _of_protobuf(path: Path, size: int) -> Finding | None:
    if size > _MAX_PROTOBUF_BYTES:
        return None
    model = onnx.ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except (DecodeError, ValueError):
        return None
    if not model.graph.node or not model.graph.input or not model.opset_import:
        return None
    return Finding(form="onnx", words=f"an ONNX graph of {len(model.graph.node)} nodes")


def _unknown(head: bytes) -> str:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as exc:
        # A character cut off by the end of what was read is no proof against text.
        text = head[: exc.start].decode("utf-8") if exc.start >= len(head) - 3 else ""
    if text and text.isprintable() or (text and all(c.isprintable() or c in "\t\r\n" for c in text)):
        return f"a text that begins {text.strip()[:40]!r}"
    return f"nothing known; its first bytes are {head[:8].hex(' ')}"


def _refused(path: Path, what: str, hint: str = _HINT) -> ModelInvalid:
    return ModelInvalid(f"{path.name!r} is no model that can be added: it is {what}.", hint=hint)
