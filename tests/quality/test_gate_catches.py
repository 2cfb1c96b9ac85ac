"""The whole room on real encodes: nothing genuine is refused, every fault that was put in is, for the right reason."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from sr_tasks.media.sample import draw as draw_sample
from sr_tasks.records.assessment import Decision
from sr_tasks.records.cards import load_card
from tests.quality.calibrate.faults import other_matrix, squeezed, stretched
from tests.quality.twins import LIMITS, Picture, Planes, judge, photograph, write_source, write_twin

MODELS = Path(__file__).resolve().parents[2] / "include" / "models"
VERYFAST = {"preset": "veryfast"}


def sample(number: int) -> np.ndarray:
    return draw_sample(number * 3, 320, 192)[..., ::-1]


def grain(number: int) -> np.ndarray:
    rng = np.random.default_rng(number)
    rows, columns = np.mgrid[:192, :320]
    base = 120 + 50 * np.sin(columns / 37 + number / 9)[..., None] + 20 * np.cos(rows / 31)[..., None] * [1, -1, 0.5]
    return np.clip(base + rng.normal(0, 7, (192, 320, 1)), 0, 255).astype(np.uint8)


def fade(number: int) -> np.ndarray:
    rows, columns = np.mgrid[:192, :320]
    light = 1.2 * abs(np.sin(number * 0.2))
    wave = (80 + 70 * np.sin(columns / 9) * np.cos(rows / 13))[..., None] * [1, 0.8, 0.6]
    return np.clip(wave * light, 0, 255).astype(np.uint8)


def standing(number: int) -> np.ndarray:
    """Hardly any change: order cannot be told, and must not be guessed."""
    rng = np.random.default_rng(number)
    return np.clip(sample(0) + rng.normal(0, 0.7, (192, 320, 1)), 0, 255).astype(np.uint8)


def bars(number: int) -> np.ndarray:
    colours = np.array([(191, 191, 0), (0, 191, 191), (0, 191, 0), (191, 0, 191), (191, 0, 0), (0, 0, 191)], np.uint8)
    image = np.repeat(np.repeat(colours[None], 192, axis=0), 54, axis=1)[:, :320].copy()
    cv2.circle(image, (40 + 6 * number, 96), 30, (250, 180, 20), -1, cv2.LINE_AA)
    return image


SOURCES = {
    "sample": sample,
    "grain": grain,
    "fade": fade,
    "standing": standing,
    "bars": bars,
    "astronaut": photograph("astronaut"),
    "coffee": photograph("coffee", step=0.2),
    "brick": photograph("brick"),
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sources")
    return {name: write_source(folder / f"{name}.mp4", Picture(draw=draw)) for name, draw in SOURCES.items()}


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize(
    ("codec", "options"),
    [("libx264", {"crf": "17"} | VERYFAST), ("libx264", {"crf": "28"} | VERYFAST)],
    ids=["crf17", "crf28"],
)
def test_genuine_output_passes(
    sources: dict[str, Path], tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    twin = write_twin(tmp_path / "twin.mp4", sources[name], codec=codec, options=options)
    judged = judge(sources[name], twin)
    assert judged.verdict.decision is Decision.PASSED, judged.why
    assert judged.integrity.ok


@pytest.mark.parametrize("crf", ["12", "35"])
def test_genuine_output_of_a_compressed_source_passes(tmp_path: Path, crf: str) -> None:
    picture = Picture(draw=SOURCES["astronaut"], options={"crf": crf, "preset": "veryfast"})
    source = write_source(tmp_path / "source.mp4", picture)
    judged = judge(source, write_twin(tmp_path / "twin.mp4", source))
    assert judged.verdict.decision is Decision.PASSED, judged.why


def test_genuine_output_in_hevc_passes(sources: dict[str, Path], tmp_path: Path) -> None:
    options = {"crf": "19", "preset": "ultrafast", "x265-params": "log-level=error"}
    twin = write_twin(tmp_path / "twin.mp4", sources["astronaut"], codec="libx265", options=options)
    assert judge(sources["astronaut"], twin).verdict.decision is Decision.PASSED


def test_genuine_output_at_four_times_the_size_passes(sources: dict[str, Path], tmp_path: Path) -> None:
    twin = write_twin(tmp_path / "twin.mp4", sources["astronaut"], scale=4)
    assert judge(sources["astronaut"], twin, scale=4).verdict.decision is Decision.PASSED


@pytest.mark.parametrize("pix_fmt", ["yuv420p10le", "yuv444p", "gray"])
def test_genuine_output_of_other_pixel_formats_passes(tmp_path: Path, pix_fmt: str) -> None:
    picture = Picture(draw=SOURCES["astronaut"], pix_fmt=pix_fmt, frames=12, codec="ffv1", options={})
    source = write_source(tmp_path / "source.mkv", picture)
    judged = judge(source, write_twin(tmp_path / "twin.mkv", source, codec="ffv1", options={"level": "3"}))
    assert judged.verdict.decision is Decision.PASSED, judged.why
    assert judged.assessment.psnr_mean > 45


def add(plane: np.ndarray, where: tuple[slice, slice], codes: int) -> np.ndarray:
    changed = plane.copy()
    changed[where] = np.clip(changed[where].astype(np.int16) + codes, 0, 255)
    return changed


def on_luma(change):  # type: ignore[no-untyped-def]
    return lambda frames: [[change(planes[0]), *planes[1:]] for planes in frames]


def swapped(frames: list[Planes]) -> list[Planes]:
    return [*frames[:10], frames[11], frames[10], *frames[12:]]


def repeated(frames: list[Planes]) -> list[Planes]:
    return [*frames[:10], frames[9], *frames[11:]]


def one_late(frames: list[Planes]) -> list[Planes]:
    return [frames[0], *frames[:-1]]


def blacked_out(frames: list[Planes]) -> list[Planes]:
    black = [np.full_like(frames[0][0], 16), *(np.full_like(p, 128) for p in frames[0][1:])]
    return [*frames[:10], black, *frames[11:]]


def black_tile(frames: list[Planes]) -> list[Planes]:
    spoilt = list(frames)
    spoilt[7] = [add(frames[7][0], np.s_[100:164, 300:364], -255), *frames[7][1:]]
    return spoilt


def green_tile(frames: list[Planes]) -> list[Planes]:
    spoilt = list(frames)
    for number in range(6, 12):
        luma, *chroma = frames[number]
        spoilt[number] = [luma, *(add(p, np.s_[50:82, 150:182], -255) for p in chroma)]
    return spoilt


FAULTS = {
    "swapped frames": (swapped, "neighbouring frame"),
    "repeated frame": (repeated, "neighbouring frame"),
    "one frame late": (one_late, "neighbouring frame"),
    "black frame": (blacked_out, "are black"),
    "601 for 709": (other_matrix(601, 709), "matrix or range"),
    "709 for 601": (other_matrix(709, 601), "matrix or range"),
    "limited for full": (stretched, "matrix or range"),
    "full for limited": (squeezed, "matrix or range"),
    "seam down": (on_luma(lambda y: add(y, np.s_[:, 401:403], 24)), "seam"),
    "seam across": (on_luma(lambda y: add(y, np.s_[190:192, :], 24)), "seam"),
    "black tile": (black_tile, "block"),
    "green tile": (green_tile, "block's brightness or colour"),
    "brighter tile": (on_luma(lambda y: add(y, np.s_[96:224, 256:384], 5)), "block's brightness or colour"),
    "one output px right": (on_luma(lambda y: np.roll(y, 1, axis=1)), "displaced"),
    "one output px down": (on_luma(lambda y: np.roll(y, 1, axis=0)), "displaced"),
    "luma + 2": (on_luma(lambda y: add(y, np.s_[:, :], 2)), "Brightness or colour is shifted"),
}


@pytest.mark.parametrize("name", ["astronaut", "sample"])
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_refused_for_its_own_reason(
    sources: dict[str, Path], tmp_path: Path, name: str, fault: str
) -> None:
    spoil, reason = FAULTS[fault]
    judged = judge(sources[name], write_twin(tmp_path / "twin.mp4", sources[name], spoil=spoil))
    assert judged.verdict.decision is Decision.FAILED
    assert reason in judged.why
    assert judged.integrity.ok


@pytest.mark.parametrize("fault", ["swapped frames", "601 for 709", "seam down", "black tile", "one output px right"])
def test_faults_are_refused_at_four_times_the_size(sources: dict[str, Path], tmp_path: Path, fault: str) -> None:
    spoil, _ = FAULTS[fault]
    twin = write_twin(tmp_path / "twin.mp4", sources["astronaut"], scale=4, spoil=spoil)
    assert judge(sources["astronaut"], twin, scale=4).verdict.decision is Decision.FAILED


def test_the_worst_places_are_named(sources: dict[str, Path], tmp_path: Path) -> None:
    a = judge(sources["astronaut"], write_twin(tmp_path / "t.mp4", sources["astronaut"], spoil=black_tile)).assessment
    assert a.block_psnr_worst.frame == a.psnr_worst.frame == 7
    assert a.block_psnr_worst.time_s == pytest.approx(7 / 25)
    assert abs(a.block_psnr_worst.x - 150) <= 8
    assert abs(a.block_psnr_worst.y - 50) <= 8


def test_swapped_frames_are_named(sources: dict[str, Path], tmp_path: Path) -> None:
    a = judge(sources["astronaut"], write_twin(tmp_path / "t.mp4", sources["astronaut"], spoil=swapped)).assessment
    assert [found.frame for found in a.misplaced.first] == [10, 11]


def test_a_frozen_stretch_is_counted(sources: dict[str, Path], tmp_path: Path) -> None:
    def freeze(frames: list[Planes]) -> list[Planes]:
        return [*frames[:8], *[frames[7]] * 4, *frames[12:]]

    a = judge(sources["astronaut"], write_twin(tmp_path / "t.mp4", sources["astronaut"], spoil=freeze)).assessment
    assert [found.frame for found in a.frozen.first] == [8, 9, 10, 11]


@pytest.mark.parametrize("card", sorted(MODELS.glob("*/*/card.yaml")), ids=lambda path: path.parent.parent.name)
def test_shipped_cards_carry_the_limits_proved_here(card: Path) -> None:
    loaded = load_card(card)
    assert loaded.kind == "style" or loaded.gate == LIMITS
