"""A job with a style model: the picture is painted at its own size, everything else is as in any job."""

import json
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import onnxruntime
import pytest

from sr_tasks import __main__ as cli
from sr_tasks.config import Settings
from sr_tasks.errors import ScaleUnsupported
from sr_tasks.quality.consistency import assess
from sr_tasks.registry.registry import Registry
from sr_tasks.steps.verify import verify
from sr_tasks.telemetry.progress import Observers
from tests.clips import make, pts_of
from tests.quality.twins import Picture, photograph, write_source, write_twin
from tests.steps.conftest import Enhance

STYLE = "ink-wash"


RED, BLUE = 0.2126, 0.0722
"""Shares of luma in BT.709."""


def planes(path: Path) -> list[list[np.ndarray]]:
    with av.open(str(path)) as container:
        return [
            [np.frombuffer(p, np.uint8).reshape(p.height, -1)[:, : p.width].astype(np.float32) for p in frame.planes]
            for frame in container.decode(video=0)
        ]


def colours(frame: list[np.ndarray]) -> np.ndarray:
    """R, G, B in 0..1 of 4:2:0 planes in limited range, chroma lying left of the luma px it belongs to."""
    luma, size = (frame[0] - 16) / 219, frame[0].shape[::-1]
    place = np.array([[0.5, 0, 0], [0, 0.5, -0.25]], np.float32)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    chroma = [cv2.warpAffine(p, place, size, flags=flags, borderMode=cv2.BORDER_REPLICATE) for p in frame[1:]]
    u, v = ((plane - 128) / 224 for plane in chroma)
    red, blue = luma + 2 * (1 - RED) * v, luma + 2 * (1 - BLUE) * u
    green = (luma - RED * red - BLUE * blue) / (1 - RED - BLUE)
    return np.clip(np.stack([red, green, blue], axis=-1), 0, 1)


def luma_codes(picture: np.ndarray) -> np.ndarray:
    return 16 + 219 * (picture @ np.array([RED, 1 - RED - BLUE, BLUE], np.float32))


def painted(picture: np.ndarray) -> np.ndarray:
    entry = Registry(Settings().models_dir).get(STYLE)
    session = onnxruntime.InferenceSession(entry.folder / entry.card.weights.file, providers=["CPUExecutionProvider"])
    shown = np.ascontiguousarray(np.moveaxis(picture.astype(np.float32), -1, 0))[None]
    answer = session.run(None, {session.get_inputs()[0].name: shown})[0][0]
    return np.clip(np.moveaxis(answer, 0, -1), 0, 1)


def test_a_style_job_paints_every_frame_and_keeps_the_rest(enhance: Enhance, tmp_path: Path) -> None:
    source = make(tmp_path / "clip.mp4", frames=10, width=192, height=108, sound="aac")
    result = enhance(source, "out.mkv", model=STYLE, scale=1, codec="ffv1")
    output = Path(result["output"])
    assert len(pts_of(output)) == 10
    for before, after in zip(planes(source)[::4], planes(output)[::4], strict=True):
        assert [plane.shape for plane in after] == [plane.shape for plane in before]
        wanted = luma_codes(painted(colours(before)))
        assert np.sqrt(np.mean((wanted - after[0]) ** 2)) < 1.5
        assert np.sqrt(np.mean((before[0] - after[0]) ** 2)) > 8
    with av.open(str(output)) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
    assert json.loads(Path(result["manifest"]).read_text())["model"]["name"] == STYLE


def test_frames_of_a_style_job_are_judged_as_stylised(
    enhance: Enhance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []

    def watched(*args: Any, **options: Any) -> Any:
        told.append(options["is_stylised"])
        return assess(*args, **options)

    monkeypatch.setattr("sr_tasks.steps.shared.comparison.assess", watched)
    source = make(tmp_path / "clip.mp4", frames=3)
    enhance(source, "painted.mp4", model=STYLE, scale=1)
    enhance(source, "enlarged.mp4")
    assert told == [True, False]


def test_a_repeated_frame_is_found_in_any_stylised_file(settings: Settings, tmp_path: Path) -> None:
    source = write_source(tmp_path / "source.mp4", Picture(draw=photograph("astronaut"), frames=8))

    def shown(frames: list[list[np.ndarray]]) -> list[list[np.ndarray]]:
        dark = [[luma // 2 + 30, *chroma] for luma, *chroma in frames]  # any style: contrast goes
        return [*dark[:5], dark[4], *dark[6:]]

    twin = write_twin(tmp_path / "twin.mp4", source, scale=1, spoil=shown)
    reasons = " ".join(verify(str(source), str(twin), STYLE, settings, Observers())["reasons"])
    assert "1 frames show the picture of a neighbouring frame: 5" in reasons


@pytest.mark.parametrize("scale", [2, 4])
def test_a_style_enlarges_nothing_and_says_so(enhance: Enhance, tmp_path: Path, scale: int) -> None:
    source = make(tmp_path / "clip.mp4", frames=2)
    with pytest.raises(ScaleUnsupported, match=rf"{STYLE}@\S+ cannot enlarge {scale} times") as refused:
        enhance(source, model=STYLE, scale=scale)
    assert "scale 1, then another model on its output" in refused.value.hint


def test_the_command_line_refuses_it_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = make(tmp_path / "clip.mp4", frames=2)
    arguments = ["enhance", str(source), "--model", STYLE, "--scale", "2", "--workdir", str(tmp_path / "w")]
    assert cli.main(arguments) == 3
    assert f"{STYLE}@1 cannot enlarge 2 times." in capsys.readouterr().err
    assert not list(tmp_path.glob("clip_x*"))
