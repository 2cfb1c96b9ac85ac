"""What is measured of a source against what was done to it: photographs degraded here by known amounts."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sr_tasks.errors import InputInvalid
from sr_tasks.media.degradation import answer, measure, measure_frames
from sr_tasks.media.probe import probe
from sr_tasks.media.spread import FRAMES, spread_frames
from sr_tasks.media.traces import traces
from sr_tasks.records.degradation import Degradation
from sr_tasks.training.degradation import Examples, draw_examples, fit, log_error, new_estimator, save
from sr_tasks.training.degrade import encoded, jpeg, noisy
from sr_tasks.training.evaluate import photographs
from tests.clips import Clip, make, wipe_packet

Codes = NDArray[np.uint8]


@pytest.fixture(scope="module")
def pictures() -> list[Codes]:
    """Photographs that nothing was trained on, at the size of small videos."""
    return [np.ascontiguousarray(plane[:192, :256]) for plane in photographs().values()]


def video(picture: Codes, crf: int) -> Codes:
    """The third frame of a panning clip."""
    return encoded([np.roll(picture, (n, 2 * n), (0, 1)) for n in (-2, -1, 0)], "libx264", {"crf": str(crf)})[2]


def true_level(source: Codes, truth: Codes) -> float:
    return float(np.sqrt(np.mean((source.astype(np.float64) - truth) ** 2)))


def ratios(pictures: list[Codes], degrade: Callable[[Codes], Codes]) -> NDArray[np.float64]:
    """Measured level over true level, of every picture."""
    sources = [degrade(picture) for picture in pictures]
    return np.array(
        [
            measure_frames([source]).level / true_level(source, picture)
            for source, picture in zip(sources, pictures, strict=True)
        ]
    )


def test_clean_photographs_measure_as_nearly_clean(pictures: list[Codes]) -> None:
    levels = [measure_frames([picture]).level for picture in pictures]
    assert np.median(levels) < 1.5
    assert max(levels) < 3.5


@pytest.mark.parametrize("sigma", [2.0, 4.0, 8.0])
def test_noise_is_measured_and_called_noise(pictures: list[Codes], sigma: float) -> None:
    rng = np.random.default_rng(0)
    sources = [np.clip(np.rint(p + rng.normal(0, sigma, p.shape)), 0, 255).astype(np.uint8) for p in pictures]
    found = [measure_frames([source]) for source in sources]
    assert np.median([one.level for one in found]) == pytest.approx(sigma, rel=0.3)
    assert sum(one.kind == "noise" for one in found) >= len(found) - 1


@pytest.mark.parametrize(
    "degrade",
    [lambda p: jpeg(p, 75), lambda p: jpeg(p, 40), lambda p: video(p, 24), lambda p: video(p, 32)],
    ids=["jpeg 75", "jpeg 40", "crf 24", "crf 32"],
)
def test_compression_is_measured_and_called_compression(
    pictures: list[Codes], degrade: Callable[[Codes], Codes]
) -> None:
    found = ratios(pictures, degrade)
    assert 0.6 < np.exp(np.mean(np.log(found))) < 1.6
    assert sum(measure_frames([degrade(picture)]).kind == "compression" for picture in pictures) >= len(pictures) - 1


def test_what_was_compressed_hard_does_not_look_clean_after_a_light_second_encode(pictures: list[Codes]) -> None:
    again = [measure_frames([encoded([video(picture, 34)], "libx264", {"crf": "14"})[0]]).level for picture in pictures]
    light = [measure_frames([encoded([picture], "libx264", {"crf": "14"})[0]]).level for picture in pictures]
    assert np.median(again) > 1.5 * np.median(light)


def test_level_is_made_up_of_noise_and_compression(pictures: list[Codes]) -> None:
    found = measure_frames([noisy(pictures[0], 5.0, np.random.default_rng(1)), jpeg(pictures[0], 50)])
    assert found.level**2 == pytest.approx(found.noise**2 + found.compression**2, rel=0.01)


def test_bars_and_blank_frames_count_for_nothing(pictures: list[Codes]) -> None:
    picture = noisy(pictures[0], 6.0, np.random.default_rng(2))
    plain = measure_frames([picture])
    barred = measure_frames([np.pad(picture, ((48, 48), (0, 0)), constant_values=16), np.full((200, 300), 16)])
    assert barred.level == pytest.approx(plain.level, rel=0.02)
    assert measure_frames([np.full((200, 300), 16)]).level == 0.0


@pytest.mark.parametrize("shape", [(16, 16), (40, 300), (65, 47)])
def test_pictures_of_any_size_are_measured(pictures: list[Codes], shape: tuple[int, int]) -> None:
    rows, columns = shape
    source = noisy(np.tile(pictures[1], (2, 3))[:rows, :columns], 8.0, np.random.default_rng(3))
    assert 2.5 < measure_frames([source]).level < 16.0


def test_the_network_answers_as_it_does_in_torch(pictures: list[Codes], tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    planes = [noisy(picture, 5.0, rng)[:96, :128].astype(np.float32) for picture in pictures]
    examples = Examples(
        traces=np.stack([traces(plane) for plane in planes]),
        square=np.ones(len(planes), np.float32),
        share=np.zeros(len(planes), np.float32),
    )
    estimator = new_estimator(examples)
    estimator.net.eval()
    save(estimator, tmp_path / "weights.npz")
    with torch.no_grad():
        expected = estimator.net(estimator.inputs(examples.traces)).numpy()
    answers = [answer(plane, tmp_path / "weights.npz") for plane in planes]
    np.testing.assert_allclose([square + 0.1 for square, _ in answers], np.exp(2 * expected[:, 0]), rtol=0.02)
    np.testing.assert_allclose([share for _, share in answers], 1 / (1 + np.exp(-expected[:, 1])), atol=0.01)


def test_training_learns_to_tell_levels_apart() -> None:
    """On a few pictures it has seen: the whole way from drawing to fitting, in miniature."""
    examples = draw_examples(0, 1)
    again = draw_examples(0, 1)
    np.testing.assert_array_equal(examples.traces, again.traces)
    estimator = fit(examples, steps=150)
    blind = float(np.log(np.sqrt(examples.square[examples.square >= 0.25] + 0.1)).std())
    assert log_error(estimator, examples) < 0.6 * blind


@pytest.mark.parametrize("gop", ["12", "1000"])
def test_frames_are_taken_from_all_over_a_video(tmp_path: Path, gop: str) -> None:
    clip = make(tmp_path / "clip.mp4", frames=200, width=96, height=64, options={"g": gop, "sc_threshold": "0"})
    with av.open(str(clip)) as container:
        decoded = [frame.to_ndarray()[:64] for frame in container.decode(video=0)]
    taken = list(spread_frames(clip, probe(clip).video))
    places = [next(n for n, plane in enumerate(decoded) if np.array_equal(plane, one)) for one in taken]
    assert len(set(places)) == FRAMES
    assert places == sorted(places)
    assert places[0] < 50
    assert places[-1] >= 150
    assert len({place % 12 for place in places}) >= 3, "at several distances from their keyframes"


def test_ten_bit_pictures_are_measured_in_eight_bit_codes(tmp_path: Path) -> None:
    levels = []
    for pix_fmt in ("yuv420p", "yuv420p10le"):
        options = {"frames": 6, "width": 256, "height": 160, "codec": "ffv1", "noise": 10.0}
        path = make(tmp_path / f"{pix_fmt}.mkv", Clip(pix_fmt=pix_fmt, **options))  # type: ignore[arg-type]
        levels.append(measure(path, probe(path).video).level)
    assert levels[1] == pytest.approx(levels[0], rel=0.05)


def test_a_long_film_takes_no_longer_than_a_short_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one keyframe alone, as many frames are decoded as the budget allows, wherever a frame was wanted."""
    monkeypatch.setattr("sr_tasks.media.spread.DECODED_PX", 8 * 20 * 96 * 64)
    clip = make(tmp_path / "clip.mp4", frames=400, width=96, height=64, options={"g": "1000", "sc_threshold": "0"})
    with av.open(str(clip)) as container:
        decoded = [frame.to_ndarray()[:64] for frame in container.decode(video=0)]
    taken = list(spread_frames(clip, probe(clip).video))
    places = [next(n for n, plane in enumerate(decoded) if np.array_equal(plane, one)) for one in taken]
    assert len(places) == FRAMES
    assert max(places) < 20


def test_damaged_places_are_passed_over(tmp_path: Path) -> None:
    clip = make(tmp_path / "clip.mp4", frames=48, width=160, height=96, options={"g": "6", "sc_threshold": "0"})
    for number in (0, 1, 20, 21, 22):
        wipe_packet(clip, number)
    assert measure(clip, probe(clip).video).frames >= FRAMES // 2


def test_a_video_of_which_nothing_decodes_is_refused(tmp_path: Path) -> None:
    clip = make(tmp_path / "clip.mp4", frames=12)
    facts = probe(clip).video
    for number in range(12):
        wipe_packet(clip, number)
    with pytest.raises(InputInvalid, match="decoded"):
        measure(clip, facts)


def test_degradation_at_another_level_keeps_its_mix() -> None:
    found = Degradation(level=5.0, noise=3.0, compression=4.0, frames=8)
    assert found.at(10.0) == Degradation(level=10.0, noise=6.0, compression=8.0, frames=8)
    assert (found.kind, found.at(0.5).kind) == ("compression", "clean")
