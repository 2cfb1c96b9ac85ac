"""Still pictures in a size, or at a scale that no network has; sequences and kinds that are refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sr_tasks import __main__ as cli
from sr_tasks.planes.metrics import psnr_db
from tests.readers import ffmpeg, run
from tests.steps.pictures import rgb

WIDTH, HEIGHT = 60, 40
SIZES: dict[str, tuple[tuple[str, ...], tuple[int, int], str]] = {
    "three times": (("--scale", "3"), (180, 120), "bicubic"),
    "three times by a network": (("--scale", "3"), (180, 120), "compact-x2"),
    "between two and four": (("--size", "200x200"), (200, 134), "bicubic"),
    "below two": (("--size", "90x90"), (90, 60), "bicubic"),
}


def made(path: Path, layout: str) -> Path:
    picture = f"mandelbrot=s={WIDTH}x{HEIGHT},format={layout}"
    return ffmpeg(path, "-f", "lavfi", "-i", picture, "-frames:v", "1")


def shown(path: Path, width: int, height: int, layout: str = "rgb24") -> np.ndarray:
    return rgb(path, width, height, layout)[0].astype(np.float32)


@pytest.mark.parametrize("layout", ["rgb24", "rgba"])
@pytest.mark.parametrize(("options", "size", "model"), SIZES.values(), ids=SIZES)
def test_a_picture_gets_the_size_that_was_asked_for(
    options: tuple[str, ...], size: tuple[int, int], model: str, layout: str, run: Any, tmp_path: Path
) -> None:
    source = made(tmp_path / "in.png", layout)
    output, result = run(source, *options, model=model, suffix=".png")
    assert (result["width"], result["height"]) == size == identified(output)
    error = shown(output, WIDTH, HEIGHT, layout) - shown(source, WIDTH, HEIGHT, layout)
    assert psnr_db(float(np.mean(error**2))) > 22


def identified(path: Path) -> tuple[int, int]:
    width, height = run("identify", "-format", "%w %h", path).decode().split()
    return int(width), int(height)


def test_a_folder_of_pictures_is_fitted_and_what_is_large_already_is_told(run: Any, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    made(source / "a.png", "rgb24")
    ffmpeg(source / "large.png", "-f", "lavfi", "-i", "testsrc2=s=400x300", "-frames:v", "1")
    output, result = run(source, "--size", "120x120", suffix="")
    assert identified(output / "a.png") == (120, 80)
    assert result["pictures"] == {"delivered": 1, "failed": 1, "skipped": 0}
    assert "which is not larger" in (output / "pictures.report.html").read_text()


def test_a_picture_of_that_size_already_is_refused(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, result = run(made(tmp_path / "in.png", "rgb24"), "--size", "60x40", suffix=".png")
    assert result["error"]["code"] == "USAGE"
    assert "not larger" in result["error"]["message"]


@pytest.mark.parametrize("suffix", [".dpx", ".exr", ".jp2"])
def test_a_picture_of_a_kind_that_is_not_read_is_refused_by_its_name(suffix: str, run: Any, tmp_path: Path) -> None:
    layout = "gbrpf32le" if suffix == ".exr" else "rgb24"
    _, result = run(made(tmp_path / f"in{suffix}", layout), suffix=".png")
    assert result["error"]["code"] == "INPUT_UNSUPPORTED"
    assert "picture, which is not read" in result["error"]["message"]
    assert "Convert it to a PNG or TIFF of 16 bits" in result["error"]["hint"]


def test_a_pattern_of_numbered_pictures_is_refused_with_what_to_do(run: Any, tmp_path: Path) -> None:
    made(tmp_path / "shot_0001.png", "rgb24")
    _, result = run(tmp_path / "shot_%04d.png", suffix=".mkv")
    assert "sequence of numbered pictures" in result["error"]["message"]
    assert "Name the folder" in result["error"]["hint"]
    made(tmp_path / "shot_0001.png", "rgb24").rename(tmp_path / "shot_%04d.png")
    assert "error" not in run(tmp_path / "shot_%04d.png", suffix=".png")[1]


def test_verify_proves_a_picture_and_finds_one_that_is_spoilt(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = made(tmp_path / "in.png", "rgb24")
    output, _ = run(source, "--scale", "3", suffix=".png")

    def verified(path: Path) -> tuple[int, dict[str, Any]]:
        arguments = ["verify", str(source), str(path), "--model", "bicubic", "--workdir", str(tmp_path / "w"), "--json"]
        code = cli.main(arguments)
        return code, json.loads(capsys.readouterr().out.strip().splitlines()[-1])

    code, answer = verified(output)
    assert (code, answer["verdict"]) == (0, "passed")
    assert answer["quality"]["psnr_db"] > 25
    spoilt = ffmpeg(tmp_path / "spoilt.png", "-i", output, "-vf", "drawbox=w=60:h=60:color=red:t=fill")
    code, answer = verified(spoilt)
    assert (code, answer["verdict"]) == (4, "failed")
    code, answer = verified(made(tmp_path / "video.mkv", "rgb24"))
    assert answer["error"]["code"] == "INPUT_UNSUPPORTED"
