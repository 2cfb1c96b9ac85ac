"""Whole jobs on pictures that are not plain 4:2:0: what comes out is what another reader takes for the source."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sr_tasks import __main__ as cli

SIZE = (96, 64)


def ffmpeg(*arguments: str | Path) -> bytes:
    command = ["ffmpeg", "-v", "error", "-y", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True).stdout


def source(path: Path, *encoder: str, picture: str = "mandelbrot") -> Path:
    """Ten frames made by Debian's FFmpeg."""
    lavfi = f"{picture}=s={SIZE[0]}x{SIZE[1]}:r=25"
    ffmpeg("-f", "lavfi", "-i", lavfi, "-frames:v", "10", *encoder, path)
    return path


def probed(path: Path) -> dict[str, Any]:
    fields = "stream=codec_name,pix_fmt,width,height,color_range,color_space,nb_read_frames"
    command = ["ffprobe", "-v", "error", "-count_frames", "-select_streams", "v:0", "-show_entries", fields]
    found = subprocess.run([*command, "-of", "json", str(path)], check=True, capture_output=True).stdout
    stream: dict[str, Any] = json.loads(found)["streams"][0]
    return stream


def rgb(path: Path, width: int, height: int, scaling: str = "", layout: str = "rgb24") -> np.ndarray:
    """All frames [n, rows, columns, channels] as Debian's FFmpeg shows them."""
    filters = f"scale={width}:{height}:flags=bicubic+accurate_rnd+full_chroma_int{scaling}"
    data = ffmpeg("-i", path, "-vf", filters, "-f", "rawvideo", "-pix_fmt", layout, "-")
    return np.frombuffer(data, np.uint8).reshape(-1, height, width, len(data) and (4 if layout == "rgba" else 3))


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def enhanced(path: Path, *options: str, model: str = "bicubic") -> tuple[Path, dict[str, Any]]:
        output = tmp_path / "out.mkv"
        arguments = ["enhance", str(path), str(output), "--model", model, "--workdir", str(tmp_path / "work"), "--json"]
        cli.main([*arguments, "--overwrite", *options])
        answer: dict[str, Any] = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
        return output, answer

    return enhanced


def row_of_picture(output: Path) -> str:
    """What the manifest says of it."""
    manifest = json.loads(output.with_name(f"{output.name}.manifest.json").read_text())
    return json.dumps(manifest)


CASES = {
    "uyvy": (["-c:v", "rawvideo", "-pix_fmt", "uyvy422"], "uyvy.avi", "h264", "yuv422p"),
    "yuyv": (["-c:v", "rawvideo", "-pix_fmt", "yuyv422"], "yuyv.mov", "hevc", "yuv422p"),
    "v210": (["-c:v", "v210"], "v210.mov", "h264", "yuv422p10le"),
    "nv21": (["-c:v", "rawvideo", "-pix_fmt", "nv21"], "nv21.mkv", "h264", "yuv420p"),
    "4:1:0": (["-c:v", "ffv1", "-pix_fmt", "yuv410p"], "y410.mkv", "h264", "yuv420p"),
    "4:1:1": (["-c:v", "ffv1", "-pix_fmt", "yuv411p"], "y411.mkv", "h264", "yuv422p"),
    "4:4:0": (["-c:v", "ffv1", "-pix_fmt", "yuv440p12le"], "y440.mkv", "hevc", "yuv444p12le"),
    "9 bit": (["-c:v", "ffv1", "-pix_fmt", "yuv422p9le"], "nine.mkv", "h264", "yuv422p10le"),
    "14 bit": (["-c:v", "ffv1", "-pix_fmt", "yuv444p14le"], "14.mkv", "ffv1", "yuv444p14le"),
    "16 bit": (["-c:v", "ffv1", "-pix_fmt", "yuv420p16le"], "16.mkv", "hevc", "yuv420p12le"),
    "gray 10 bit": (["-c:v", "ffv1", "-pix_fmt", "gray10le"], "gray10.mkv", "h264", "yuv420p10le"),
    "gray 12 bit": (["-c:v", "ffv1", "-pix_fmt", "gray12le"], "gray12.mkv", "hevc", "gray12le"),
    "gray 16 bit": (["-c:v", "png", "-pix_fmt", "gray16be"], "gray16.mkv", "ffv1", "gray16le"),
    "palette": (["-c:v", "png", "-pix_fmt", "pal8"], "pal.mkv", "h264", "yuv444p10le"),
    "RGB": (["-c:v", "libx264rgb", "-crf", "0"], "rgb.mp4", "h264", "yuv444p10le"),
    "RGB 10 bit": (["-c:v", "r210"], "r210.mov", "hevc", "yuv444p12le"),
    "RGB of 15 bits": (["-c:v", "qtrle", "-pix_fmt", "rgb555be"], "qt16.mov", "ffv1", "yuv444p10le"),
}


@pytest.mark.parametrize("name", CASES)
def test_any_pixel_format_comes_out_larger_and_the_same(name: str, tmp_path: Path, run: Any) -> None:
    encoder, file, codec, pix_fmt = CASES[name]
    path = source(tmp_path / file, *encoder, picture="mandelbrot")
    output, answer = run(path, "--codec", codec, "--crf", "12") if codec != "ffv1" else run(path, "--codec", codec)
    assert answer["status"] == "COMPLETED", answer
    found = probed(output)
    assert (found["pix_fmt"], found["width"], found["height"]) == (pix_fmt, 192, 128)
    assert found["nb_read_frames"] == "10"
    error = rgb(output, *SIZE).astype(float) - rgb(path, *SIZE)
    assert np.abs(error.mean(axis=(0, 1, 2))).max() < 1.5, "no colour moved"
    assert 10 * np.log10(255**2 / (error**2).mean()) > 23, "noise is what enlarging and shrinking loses"


@pytest.mark.parametrize("codec", ["h264", "hevc", "ffv1"])
def test_flat_colours_of_a_screen_recording_come_back_to_within_a_code(codec: str, tmp_path: Path, run: Any) -> None:
    corners = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 255, 255], [255, 0, 255], [255, 255, 255]]
    colors = np.array([*corners, [0, 0, 0], *np.random.default_rng(5).integers(0, 256, (8, 3))], np.uint8)
    picture = np.kron(colors.reshape(4, 4, 3), np.ones((32, 32, 1), np.uint8))
    raw, path = tmp_path / "raw.rgb", tmp_path / "screen.mkv"
    raw.write_bytes(picture.tobytes() * 10)
    size = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "128x128", "-r", "25"]
    ffmpeg(*size, "-i", raw, "-c:v", "libx264rgb", "-crf", "0", path)
    output, answer = run(path, "--codec", codec)
    assert answer["status"] == "COMPLETED", answer
    assert (probed(output)["color_range"], probed(output)["color_space"]) == ("pc", "bt709")
    planes = np.frombuffer(ffmpeg("-i", output, "-f", "rawvideo", "-"), "<u2").reshape(-1, 3, 4, 64, 4, 64)
    luma, cb, cr = planes[:, 0] / 1023, (planes[:, 1] - 512.0) / 1023, (planes[:, 2] - 512.0) / 1023
    red, blue = luma + 1.5748 * cr, luma + 1.8556 * cb
    green = (luma - 0.2126 * red - 0.0722 * blue) / 0.7152
    shown = np.clip(np.stack([red, green, blue], axis=-1) * 255, 0, 255).round()[:, :, 16:48, :, 16:48]
    assert np.abs(shown - colors.reshape(1, 4, 1, 4, 1, 3)).max() <= 1


def test_alpha_is_enlarged_without_fringes(tmp_path: Path, run: Any) -> None:
    """A red disc; px that nobody sees are green."""
    path = disc(tmp_path)
    output, answer = run(path, "--codec", "ffv1")
    assert answer["status"] == "COMPLETED", answer
    assert probed(output)["pix_fmt"] == "yuva444p10le"
    found = rgb(output, 192, 128, layout="rgba")[0]
    wanted = rgb(path, 192, 128, layout="rgba")[0]
    assert np.abs(found[..., 3].astype(int) - wanted[..., 3]).max() < 24, "two kernels of bicubic interpolation"
    seen = found[..., 3] > 8
    assert found[seen][:, 0].min() >= 254
    assert found[seen][:, 1].max() <= 1


def test_alpha_is_flattened_onto_black_or_refused(tmp_path: Path, run: Any) -> None:
    path = disc(tmp_path)
    output, answer = run(path, "--strict")
    assert (answer["status"], answer["error"]["code"]) == ("FAILED", "INPUT_UNSUPPORTED")
    assert "ffv1" in answer["error"]["hint"]
    output, answer = run(path)
    assert answer["status"] == "COMPLETED", answer
    assert "flattened onto black" in row_of_picture(output)
    found = rgb(output, 192, 128)[0].astype(int)
    assert found[:16].max() <= 2, "what nobody sees is black"
    assert (found[60:68, 76:84] - [255, 0, 0]).max() <= 2


@pytest.mark.parametrize(("encoder", "name"), [("libvpx-vp9", "vp9"), ("libvpx", "vp8")])
def test_alpha_of_webm_is_found(encoder: str, name: str, tmp_path: Path, run: Any) -> None:
    settings = ["-pix_fmt", "yuva420p", "-auto-alt-ref", "0", "-b:v", "3M"]
    path = tmp_path / f"{name}.webm"
    ffmpeg("-i", disc(tmp_path), "-c:v", encoder, *settings, path)
    output, answer = run(path, "--codec", "ffv1")
    assert answer["status"] == "COMPLETED", answer
    assert probed(output)["pix_fmt"] == "yuva420p"
    found = rgb(output, 192, 128, layout="rgba")[0]
    assert found[:16, :, 3].max() <= 8, "the corner is transparent"
    assert found[60:68, 76:84, 3].min() >= 247, "the middle is not"


def disc(folder: Path) -> Path:
    rows, columns = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    alpha = np.clip((20 - np.hypot(columns - 40, rows - 32)) / 2 * 255 + 128, 0, 255).astype(np.uint8)
    picture = np.where(alpha[..., None] > 0, (255, 0, 0, 0), (0, 255, 0, 0)).astype(np.uint8)
    picture[..., 3] = alpha
    raw, path = folder / "raw.rgba", folder / "disc.mov"
    raw.write_bytes(picture.tobytes() * 8)
    size = ["-f", "rawvideo", "-pix_fmt", "rgba", "-s", f"{SIZE[0]}x{SIZE[1]}", "-r", "25"]
    ffmpeg(*size, "-i", raw, "-c:v", "png", path)
    return path


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_what_the_stream_crops_off_does_not_come_back(codec: str, tmp_path: Path, run: Any) -> None:
    whole, path = tmp_path / "whole.mp4", tmp_path / "cropped.mp4"
    source(whole, "-c:v", codec, "-pix_fmt", "yuv420p", "-x265-params", "log-level=error")
    kind = "h264" if codec == "libx264" else "hevc"
    ffmpeg("-i", whole, "-c", "copy", "-bsf:v", f"{kind}_metadata=crop_left=10:crop_top=6:crop_right=4", path)
    output, answer = run(path)
    assert answer["status"] == "COMPLETED", answer
    assert (probed(output)["width"], probed(output)["height"]) == (2 * 82, 2 * 58)
    error = rgb(output, 82, 58).astype(float) - rgb(whole, *SIZE)[:, 6:, 10:92]
    assert 10 * np.log10(255**2 / (error**2).mean()) > 28


def test_what_matroska_crops_off_is_left_out(tmp_path: Path, run: Any) -> None:
    whole, path = source(tmp_path / "whole.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p"), tmp_path / "cropped.mkv"
    subprocess.run(["mkvmerge", "-q", "-o", path, "--cropping", "0:10,6,4,2", whole], check=True)
    output, answer = run(path)
    assert answer["status"] == "COMPLETED", answer
    assert (probed(output)["width"], probed(output)["height"]) == (2 * 82, 2 * 56)
    error = rgb(output, 82, 56).astype(float) - rgb(whole, *SIZE)[:, 6:62, 10:92]
    assert 10 * np.log10(255**2 / (error**2).mean()) > 25


def test_a_size_that_changes_in_the_middle_is_fitted_into_the_first(tmp_path: Path, run: Any) -> None:
    """As streaming software does it: from 96x64 to 64x64 and back."""
    parts = []
    for number, size in enumerate(("96x64", "64x64", "96x64")):
        part = tmp_path / f"{number}.ts"
        lavfi = f"color=white:s={size}:r=25"
        settings = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-bf", "0", "-output_ts_offset", str(number * 0.4)]
        ffmpeg("-f", "lavfi", "-i", lavfi, "-frames:v", "10", *settings, "-muxdelay", "0", part)
        parts.append(part.read_bytes())
    path = tmp_path / "changes.ts"
    path.write_bytes(b"".join(parts))
    output, answer = run(path)
    assert answer["status"] == "COMPLETED", answer
    found = rgb(output, 192, 128)
    assert len(found) == 30
    assert found[15][:, :28].max() < 20, "a black bar"
    assert found[15][:, 40:150].min() > 235, "the picture between the bars"
    assert found[5].min() > 235
    assert found[25].min() > 235
