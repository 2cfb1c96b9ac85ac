"""Whole jobs on pictures that are not plain 4:2:0: what comes out is what another reader takes for the source."""

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.steps.pictures import SIZE, ffmpeg, probed, rgb, source

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


@pytest.mark.parametrize("codec", ["h264", "hevc", "ffv1", "prores"])
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
    is_limited = codec == "prores"
    assert (probed(output)["color_range"], probed(output)["color_space"]) == ("tv" if is_limited else "pc", "bt709")
    planes = np.frombuffer(ffmpeg("-i", output, "-f", "rawvideo", "-"), "<u2").reshape(-1, 3, 4, 64, 4, 64)
    if is_limited:  # ProRes 4444 is decoded to 12 bits
        luma, cb, cr = (planes[:, 0] - 256.0) / 3504, (planes[:, 1] - 2048.0) / 3584, (planes[:, 2] - 2048.0) / 3584
    else:
        luma, cb, cr = planes[:, 0] / 1023, (planes[:, 1] - 512.0) / 1023, (planes[:, 2] - 512.0) / 1023
    red, blue = luma + 1.5748 * cr, luma + 1.8556 * cb
    green = (luma - 0.2126 * red - 0.0722 * blue) / 0.7152
    shown = np.clip(np.stack([red, green, blue], axis=-1) * 255, 0, 255).round()[:, :, 16:48, :, 16:48]
    assert np.abs(shown - colors.reshape(1, 4, 1, 4, 1, 3)).max() <= 1


FULL_RANGE = {
    "8 bit": (["-c:v", "libx264", "-pix_fmt", "yuvj420p"], "yuv422p10le"),
    "10 bit": (["-c:v", "ffv1", "-pix_fmt", "yuv422p10le", "-color_range", "pc"], "yuv422p10le"),
    "4:4:4": (["-c:v", "libx265", "-x265-params", "log-level=error", "-pix_fmt", "yuvj444p"], "yuv444p12le"),
    "gray": (["-c:v", "ffv1", "-pix_fmt", "gray", "-color_range", "pc"], "yuv422p10le"),
    "motion jpeg": (["-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj422p"], "yuv422p10le"),
    "RGB": (["-c:v", "png", "-pix_fmt", "rgb24"], "yuv444p12le"),
}


@pytest.mark.parametrize("name", FULL_RANGE)
def test_full_range_comes_out_of_prores_as_the_limited_range_that_looks_the_same(
    name: str, tmp_path: Path, run: Any
) -> None:
    encoder, pix_fmt = FULL_RANGE[name]
    path = tmp_path / "full.mkv"
    bars = "smptebars=s=96x64:r=25,scale=out_range=full:out_color_matrix=bt709"
    tagged = ["-colorspace", "bt709"] if name != "RGB" else []
    ffmpeg("-f", "lavfi", "-i", bars, "-frames:v", "4", *encoder, *tagged, path)
    output, answer = run(path, "--codec", "prores")
    assert answer["status"] == "COMPLETED", answer
    assert (probed(output)["pix_fmt"], probed(output)["color_range"]) == (pix_fmt, "tv")
    error = rgb(output, *SIZE).astype(float) - rgb(path, *SIZE)
    assert np.abs(np.median(error, axis=(0, 1, 2))).max() <= 1
    assert np.abs(error[:, 8:24, 4:10]).max() <= 3, "in the middle of a bar"


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


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg4"])
def test_a_size_that_changes_in_the_middle_is_fitted_into_the_first(codec: str, tmp_path: Path, run: Any) -> None:
    """As streaming software does it: from 96x64 to 64x64 and back."""
    parts = []
    for number, size in enumerate(("96x64", "64x64", "96x64")):
        part = tmp_path / f"{number}.ts"
        lavfi = f"color=white:s={size}:r=25"
        settings = ["-c:v", codec, "-pix_fmt", "yuv420p", "-bf", "0", "-output_ts_offset", str(number * 0.4)]
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
