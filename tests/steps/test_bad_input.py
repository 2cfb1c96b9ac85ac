"""Bad input is refused at once, in a sentence, with nothing left behind."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from sr_tasks import __main__ as cli
from tests.clips import Clip, make

Making = Callable[[Path], Path]
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="file:///etc/passwd"/></svg>'


def written(name: str, data: bytes) -> Making:
    def write(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(data)
        return path

    return write


def clip(name: str, description: Clip) -> Making:
    return lambda folder: make(folder / name, description)


def cut(name: str, share: float, description: Clip) -> Making:
    def write(folder: Path) -> Path:
        path = make(folder / name, description)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
        return path

    return write


def sound_only(folder: Path) -> Path:
    path = folder / "sound.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=48_000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 9600), np.int16), format="s16", layout="stereo")
        silence.sample_rate = 48_000
        out.mux(stream.encode(silence))
        out.mux(stream.encode(None))
    return path


def no_frames(folder: Path) -> Path:
    """A video stream that is announced and never comes."""
    path = make(folder / "a.mkv", Clip(frames=30, sound="aac"))
    with av.open(str(path)) as before, av.open(str(folder / "b.mkv"), "w") as after:
        streams = [after.add_stream_from_template(stream) for stream in before.streams]
        for packet in before.demux(audio=0):
            if packet.size:
                packet.stream = streams[1]
                after.mux(packet)
    path.unlink()
    return folder / "b.mkv"


def huge(folder: Path) -> Path:
    """A real clip whose header claims 16000 x 16000."""
    path = make(folder / "huge.mkv", Clip(frames=2, codec="ffv1", width=320, height=300))
    data = path.read_bytes()
    honest, claimed = b"\xb0\x82\x01\x40\xba\x82\x01\x2c", b"\xb0\x82\x3e\x80\xba\x82\x3e\x80"
    assert data.count(honest) == 1
    path.write_bytes(data.replace(honest, claimed))
    return path


REFUSED: dict[str, tuple[Making, list[str], str]] = {
    "empty": (written("a.mp4", b""), [], "INPUT_INVALID"),
    "garbage": (written("a.mp4", bytes(range(256)) * 64), [], "INPUT_INVALID"),
    "text": (written("a.mp4", b"hello\n" * 100), [], "INPUT_INVALID"),
    "playlist": (written("a.mp4", b"#EXTM3U\n#EXTINF:9,\nfile:///etc/passwd\n"), [], "INPUT_INVALID"),
    "concat script": (written("a.mp4", b"ffconcat version 1.0\nfile '/etc/passwd'\n"), [], "INPUT_INVALID"),
    "svg": (written("a.mp4", SVG.encode()), [], "INPUT_INVALID"),
    "cut off in the middle": (cut("a.mp4", 0.5, Clip(frames=60, noise=9)), [], "INPUT_INVALID"),
    "cut off, index first": (
        cut("a.mp4", 0.5, Clip(frames=60, noise=9, container_options={"movflags": "faststart"})),
        [],
        "INPUT_INVALID",
    ),
    "cut off matroska": (cut("a.mkv", 0.4, Clip(frames=200, noise=9, options={"g": "10"})), [], "INPUT_INVALID"),
    "no frames": (no_frames, [], "INPUT_INVALID"),
    "sound only": (sound_only, [], "INPUT_INVALID"),
    "missing": (lambda folder: folder / "nothing.mp4", [], "INPUT_NOT_FOUND"),
    "folder": (lambda folder: folder, [], "URI_NOT_ALLOWED"),
    "device": (lambda folder: Path("/dev/zero"), [], "URI_NOT_ALLOWED"),
    "tiny": (clip("a.mkv", Clip(frames=3, codec="ffv1", width=6, height=6)), [], "INPUT_UNSUPPORTED"),
    "claims to be huge": (huge, [], "INPUT_TOO_LARGE"),
    "picture codec that mp4 does not hold": (clip("a.mkv", Clip(frames=9)), ["--codec", "ffv1"], "CONTAINER_MISMATCH"),
    "unknown model": (clip("a.mp4", Clip(frames=3)), ["--model", "nobody"], "MODEL_UNKNOWN"),
    "http": (lambda folder: Path("http://127.0.0.1/x.mp4"), [], "URI_NOT_ALLOWED"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_with_a_sentence_and_leaves_nothing(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    making, options, code = REFUSED[name]
    folder = tmp_path / "in"
    folder.mkdir()
    source = "http://127.0.0.1/x.mp4" if name == "http" else str(making(folder))
    before = sorted(tmp_path.rglob("*"))
    exit_code = cli.main(
        ["enhance", source, str(tmp_path / "out.mp4"), "--workdir", str(tmp_path / "workdir"), "--json", *options]
    )
    shown = capsys.readouterr()
    answer = json.loads(shown.out.strip().splitlines()[-1])
    assert (exit_code, answer["status"], answer["error"]["code"]) == (3, "FAILED", code)
    assert answer["error"]["message"].endswith(".")
    assert answer["error"]["retryable"] is False
    assert "Traceback" not in shown.err + shown.out
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["enhance"], "INPUT"),
        (["enhance", "a.mp4", "--scale", "5"], "5"),
        (["enhance", "a.mp4", "--crf", "99"], "99"),
        (["enhance", "a.mp4", "--codec", "vp8"], "vp8"),
        (["enhance", "a.mp4", "--model", "../../etc"], "../../etc"),
        (["enhance", "a.mp4", "--codec", "ffv1", "--crf", "10"], "crf"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_wrong_usage_exits_2_and_names_the_value(
    arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    assert word in capsys.readouterr().err


def test_an_existing_output_is_kept_unless_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, output = make(tmp_path / "a.mp4", frames=6), tmp_path / "out.mp4"
    output.write_bytes(b"precious")
    command = [
        "enhance",
        str(source),
        str(output),
        "--model",
        "bicubic",
        "--workdir",
        str(tmp_path / "workdir"),
        "--json",
    ]
    assert cli.main(command) == 3
    assert output.read_bytes() == b"precious"
    assert cli.main([*command, "--overwrite"]) == 0
    assert output.stat().st_size > 1000
    assert json.loads(capsys.readouterr().out.strip().splitlines()[-1])["frames"] == 6


def test_a_target_that_cannot_be_written_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, blocker = make(tmp_path / "a.mp4", frames=4), tmp_path / "file"
    blocker.write_bytes(b"")
    for target in (blocker / "out.mp4", Path("/proc/out.mp4")):
        assert cli.main(["enhance", str(source), str(target), "--workdir", str(tmp_path / "w")]) == 3
        assert "TARGET_UNWRITABLE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variable", "value"), [("SR_MAX_PIXELS", "1000"), ("SR_MAX_DURATION_S", "0.1"), ("SR_MAX_SOURCE_BYTES", "99")]
)
def test_a_source_past_a_limit_is_refused(
    variable: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make(tmp_path / "a.mp4", frames=10)
    monkeypatch.setenv(variable, value)
    assert cli.main(["enhance", str(source), "--workdir", str(tmp_path / "w")]) == 3
    assert variable in capsys.readouterr().err


def test_the_source_is_never_its_own_output(tmp_path: Path) -> None:
    source = make(tmp_path / "a.mp4", frames=4)
    data = source.read_bytes()
    assert cli.main(["enhance", str(source), str(source), "--overwrite", "--workdir", str(tmp_path / "w")]) == 3
    assert source.read_bytes() == data


def test_a_full_disk_is_noticed_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make(tmp_path / "a.mp4", frames=4)
    monkeypatch.setattr("sr_tasks.storage.transfer.free_bytes", lambda path: 1000)
    assert cli.main(["enhance", str(source), str(tmp_path / "o.mp4"), "--workdir", str(tmp_path / "w")]) == 3
    assert "DISK_TOO_SMALL" in capsys.readouterr().err


def test_refusing_loads_no_model_runtime_and_takes_no_write_permission(tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    source.write_bytes(b"nothing")
    program = (
        "import sys; from sr_tasks.__main__ import main\n"
        f"code = main(['enhance', {str(source)!r}, {str(tmp_path / 'o.mp4')!r}])\n"
        "heavy = {'torch', 'openvino', 'onnxruntime'} & set(sys.modules)\n"
        "sys.exit(code if not heavy else 99)"
    )
    done = subprocess.run([sys.executable, "-c", program], env={**os.environ, "SR_WORKDIR": "/proc/nowhere"})
    assert done.returncode == 3


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_signed_link_that_was_given_as_source_is_not_printed_back_with_its_signature(
    options: list[str], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    link = (
        "https://media.example/clip.mp4?X-Amz-Credential=AKIAIOSFODNN7EXAMPLE&X-Amz-Signature=5d672d79c15b13162d9279b0"
    )
    assert cli.main(["enhance", link, "--workdir", str(tmp_path / "w"), *options]) != 0
    printed = "".join(capfd.readouterr())
    assert "media.example" in printed
    assert "5d672d79" not in printed
    assert "AKIAIOSFODNN7EXAMPLE" not in printed
