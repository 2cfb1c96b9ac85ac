"""The gate on stylised outputs: those of the shipped style pass its limits, spoilt ones do not."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
import onnxruntime
import pytest

from sr_tasks.config import Settings
from sr_tasks.media.probe import probe
from sr_tasks.quality import gate, integrity
from sr_tasks.quality.consistency import assess
from sr_tasks.records.assessment import Decision, Verdict
from sr_tasks.registry.registry import ModelEntry, Registry
from sr_tasks.streams.plan import plan_streams
from tests.quality.test_gate_catches import (
    SOURCES,
    VERYFAST,
    add,
    blacked_out,
    on_luma,
    one_late,
    repeated,
    swapped,
)
from tests.quality.twins import Picture, Planes, Spoil, photograph, write_source, write_twin

STYLES = [entry for entry in Registry(Settings().models_dir).entries() if entry.card.kind == "style"]
CONTENT = {name: SOURCES[name] for name in ("sample", "grain", "fade", "standing", "bars", "astronaut", "brick")} | {
    "cat": photograph("chelsea"),
}


@lru_cache
def session(weights: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(weights, providers=["CPUExecutionProvider"])


def stylised(frames: list[Planes], entry: ModelEntry) -> list[Planes]:
    """What the style makes of 8-bit 4:2:0 planes of BT.601 in limited range; colours are FFmpeg's."""
    painted = []
    for planes in frames:
        frame = av.VideoFrame(planes[0].shape[1], planes[0].shape[0], "yuv420p")
        for plane, values in zip(frame.planes, planes, strict=True):
            np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, : plane.width] = values
        colours = frame.reformat(format="rgb24", src_colorspace="ITU601", src_color_range="MPEG").to_ndarray()
        shown = np.ascontiguousarray(np.moveaxis(colours.astype(np.float32) / 255, -1, 0))[None]
        network = session(entry.folder / entry.card.weights.file)
        answer = network.run(None, {network.get_inputs()[0].name: shown})[0][0]
        codes = np.floor(np.clip(np.moveaxis(answer, 0, -1), 0, 1) * 255 + 0.5).astype(np.uint8)
        made = av.VideoFrame.from_ndarray(np.ascontiguousarray(codes), format="rgb24")
        made = made.reformat(format="yuv420p", dst_colorspace="ITU601", dst_color_range="MPEG")
        painted.append([np.frombuffer(p, np.uint8).reshape(p.height, -1)[:, : p.width].copy() for p in made.planes])
    return painted


Painted = Callable[[str, ModelEntry], tuple[Path, list[Planes]]]


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Painted:
    """A source by name and its stylised frames, made once."""
    folder = tmp_path_factory.mktemp("sources")

    @lru_cache
    def make(name: str, label: str) -> tuple[Path, list[Planes]]:
        source = write_source(folder / f"{name}.mp4", Picture(draw=CONTENT[name], frames=16))
        kept: list[Planes] = []
        entry = next(entry for entry in STYLES if entry.label == label)

        def keep(frames: list[Planes]) -> list[Planes]:
            kept.extend(stylised(frames, entry))
            return kept

        write_twin(folder / f"{name}-{label}.mp4", source, scale=1, spoil=keep)
        return source, kept

    return lambda name, entry: make(name, entry.label)


def verdict(entry: ModelEntry, case: tuple[Path, list[Planes]], twin: Path, spoil: Spoil, crf: str = "17") -> Verdict:
    source, frames = case
    write_twin(twin, source, scale=1, spoil=lambda _: spoil(frames), options={"crf": crf} | VERYFAST)
    before, after = probe(source), probe(twin)
    size = before.video.width, before.video.height
    assessment = assess(source, twin, before, after, size, report_progress=lambda _: None, is_stylised=True)
    report = integrity.check(
        source, twin, before, after, size=size, fates=plan_streams(source, before, ".mp4", "h264"),
        decode=assessment.decode, timing=assessment.timing,
    )  # fmt: skip
    return gate.judge(assessment, report, entry.card.gate)


@pytest.fixture(params=STYLES, ids=lambda entry: entry.label)
def style(request: pytest.FixtureRequest) -> ModelEntry:
    return request.param


def test_a_style_is_shipped() -> None:
    assert STYLES


@pytest.mark.parametrize("crf", ["17", "28"])
@pytest.mark.parametrize("name", CONTENT)
def test_genuine_stylised_output_passes(
    style: ModelEntry, painted: Painted, tmp_path: Path, name: str, crf: str
) -> None:
    found = verdict(style, painted(name, style), tmp_path / "twin.mp4", lambda frames: frames, crf)
    assert found.decision is Decision.PASSED, found.reasons


def frozen(frames: list[Planes]) -> list[Planes]:
    return [*frames[:8], *[frames[7]] * 4, *frames[12:]]


def black_tile(frames: list[Planes]) -> list[Planes]:
    return [*frames[:7], [add(frames[7][0], np.s_[64:112, 96:160], -255), *frames[7][1:]], *frames[8:]]


def half_green(frames: list[Planes]) -> list[Planes]:
    return [[planes[0], *(add(p, np.s_[24:56, 50:82], -255) for p in planes[1:])] for planes in frames]


STYLISED_FAULTS = {
    "frozen stretch": (frozen, "are frozen"),
    "repeated frame": (repeated, "neighbouring frame"),
    "swapped frames": (swapped, "neighbouring frame"),
    "one frame late": (one_late, "neighbouring frame"),
    "black frame": (blacked_out, "are black"),
    "black tile": (black_tile, "block's brightness or colour"),
    "green tile": (half_green, "block's brightness or colour"),
    "one px right": (on_luma(lambda y: np.roll(y, 1, axis=1)), "displaced"),
    "one px down": (on_luma(lambda y: np.roll(y, 1, axis=0)), "displaced"),
    "seam": (on_luma(lambda y: add(y, np.s_[:, 201:203], 24)), "seam"),
    "nothing but grey": (lambda frames: [[np.full_like(p, 128) for p in planes] for planes in frames], "mixed wrongly"),
}


@pytest.mark.parametrize("name", ["astronaut", "cat"])
@pytest.mark.parametrize("fault", STYLISED_FAULTS)
def test_every_fault_of_a_stylised_output_is_refused_for_its_own_reason(
    style: ModelEntry, painted: Painted, tmp_path: Path, name: str, fault: str
) -> None:
    spoil, reason = STYLISED_FAULTS[fault]
    found = verdict(style, painted(name, style), tmp_path / "twin.mp4", spoil)
    assert found.decision is Decision.FAILED
    assert reason in " ".join(found.reasons)
