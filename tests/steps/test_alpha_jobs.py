"""Whole jobs on pictures with alpha: it is enlarged with the picture where the output can hold it, else said."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.steps.pictures import SIZE, ffmpeg, probed, rgb


def disc(folder: Path, *encoder: str, suffix: str = ".mov") -> Path:
    """A red disc with a soft edge; px that nobody sees are green."""
    rows, columns = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    alpha = np.clip((20 - np.hypot(columns - 40, rows - 32)) / 2 * 255 + 128, 0, 255).astype(np.uint8)
    picture = np.where(alpha[..., None] > 0, (255, 0, 0, 0), (0, 255, 0, 0)).astype(np.uint8)
    picture[..., 3] = alpha
    raw, path = folder / "raw.rgba", folder / f"disc{suffix}"
    raw.write_bytes(picture.tobytes() * 8)
    size = ["-f", "rawvideo", "-pix_fmt", "rgba", "-s", f"{SIZE[0]}x{SIZE[1]}", "-r", "25"]
    ffmpeg(*size, "-i", raw, *(encoder or ("-c:v", "png")), path)
    return path


def row_of_picture(output: Path) -> str:
    """What the manifest's plan of streams says of it."""
    rows = json.loads(output.with_name(f"{output.name}.manifest.json").read_text())["streams"]
    return str(next(row["reason"] for row in rows if row["fate"] == "enhanced"))


TO_420 = ("-vf", "scale=out_color_matrix=bt709:out_range=tv", "-colorspace", "bt709")
SOURCES = {
    "png": ("-c:v", "png"),
    "quicktime rle": ("-c:v", "qtrle", "-pix_fmt", "argb"),
    "prores 4444": (
        "-c:v",
        "prores_ks",
        "-profile:v",
        "4444",
        "-alpha_bits",
        "16",
        "-pix_fmt",
        "yuva444p10le",
        *TO_420,
    ),
}
TARGETS = {"ffv1": (".mkv", "yuva444p"), "prores": (".mov", "yuva444p12le")}


@pytest.mark.parametrize("codec", TARGETS)
@pytest.mark.parametrize("name", SOURCES)
def test_alpha_is_enlarged_without_fringes(name: str, codec: str, tmp_path: Path, run: Any) -> None:
    path = disc(tmp_path, *SOURCES[name])
    suffix, pix_fmt = TARGETS[codec]
    output, answer = run(path, "--codec", codec, suffix=suffix)
    assert answer["status"] == "COMPLETED", answer
    assert probed(output)["pix_fmt"].startswith(pix_fmt)
    found = rgb(output, 192, 128, layout="rgba")[0]
    wanted = rgb(path, 192, 128, layout="rgba")[0]
    assert np.abs(found[..., 3].astype(int) - wanted[..., 3]).max() < 24, "two kernels of bicubic interpolation"
    is_lossy = name == "prores 4444"  # its encoder mixes green into the edge already
    seen = found[..., 3] > (64 if is_lossy else 8)
    assert found[seen][:, 0].min() >= (225 if is_lossy else 254)
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


WITH_VP9 = SOURCES | {
    "vp9": ("-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p", "-auto-alt-ref", "0", "-b:v", "3M", *TO_420)
}


@pytest.mark.parametrize("suffix", [".webm", ".mkv"])
@pytest.mark.parametrize("name", WITH_VP9)
def test_vp9_keeps_alpha_in_webm_and_matroska(name: str, suffix: str, tmp_path: Path, run: Any) -> None:
    path = disc(tmp_path, *WITH_VP9[name], suffix=".webm" if name == "vp9" else ".mov")
    output, answer = run(path, "--codec", "vp9", suffix=suffix)
    assert answer["status"] == "COMPLETED", answer
    assert "flattened" not in row_of_picture(output)
    decoder = ("-c:v", "libvpx-vp9")
    found = rgb(output, 192, 128, layout="rgba", decoder=decoder)
    assert len(found) == 8
    wanted = rgb(path, 192, 128, layout="rgba", decoder=decoder if name == "vp9" else ())
    assert np.abs(found[..., 3].astype(int) - wanted[..., 3]).max() < 40, "two kernels and an encoder"
    solid = found[0][wanted[0][..., 3] > 250]
    assert solid[:, 0].mean() > 225
    assert solid[:, 0].min() > 180, "chroma has half the size"
    assert solid[:, 1].max() < 60


@pytest.mark.parametrize("name", WITH_VP9)
def test_vp9_in_mp4_has_no_alpha_and_the_plan_says_so(name: str, tmp_path: Path, run: Any) -> None:
    path = disc(tmp_path, *WITH_VP9[name], suffix=".webm" if name == "vp9" else ".mov")
    output, answer = run(path, "--codec", "vp9", suffix=".mp4")
    assert answer["status"] == "COMPLETED", answer
    assert "flattened onto black" in row_of_picture(output)
    assert rgb(output, 192, 128)[0][:16].max() <= 12


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
