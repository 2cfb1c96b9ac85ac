"""Frames in any pixel format become frames in the working format: exactly, where the target can hold it."""

from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from av.video.format import names
from av.video.reformatter import Interpolation

from sr_tasks.errors import InputUnsupported
from sr_tasks.media.conform import conform
from sr_tasks.media.decoded import DecodedFrame
from sr_tasks.media.present import presented
from sr_tasks.planes.alpha import enlarged
from sr_tasks.planes.depth import of_depth
from sr_tasks.planes.formats import pixel_format
from sr_tasks.planes.frames import frame_of, planes_of, samples_of
from sr_tasks.planes.rgb import to_ycbcr
from sr_tasks.planes.targets import working_format
from sr_tasks.records.layout import PlaneLayout
from sr_tasks.records.media import PicturePlan

EXACT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
WIDTH, HEIGHT = 70, 36
LACKING = {"v30xbe", "xv30be", "x2rgb10be", "x2bgr10be", "y210be", "y212be", "y216be"}
"""What FFmpeg's own scaler does not read."""


def noise(name: str, width: int = WIDTH, height: int = HEIGHT, seed: int = 1) -> av.VideoFrame:
    """A frame of random samples in any pixel format."""
    rng, kind = np.random.default_rng(seed), pixel_format(name)
    frame = av.VideoFrame(width, height, name)
    for plane in frame.planes:
        data = rng.integers(0, 256, plane.buffer_size, dtype=np.uint8)
        if kind.bit_depth > 8 and not kind.fields:
            words = data[: len(data) // 2 * 2].view(">u2" if kind.is_big_endian else "<u2")
            words[:] = (words >> (16 - kind.bit_depth)) << kind.shift
        np.frombuffer(memoryview(plane), np.uint8)[:] = data
    if kind.samples == "P":
        np.frombuffer(memoryview(frame.planes[1]), np.uint32)[:] |= 0xFF000000
    return frame


def planar(name: str) -> str:
    """The planar format with the very same samples."""
    kind = pixel_format(name)
    alpha, deep = "a" if kind.has_alpha else "", "" if kind.bit_depth == 8 else f"{kind.bit_depth}le"
    if kind.is_rgb:
        return f"gbr{alpha}p{deep}"
    if kind.sampling == "gray":
        return f"ya{deep or 8}" if alpha else f"gray{deep}"
    return f"yuv{alpha}{kind.sampling}p{deep}"


def is_exact(name: str) -> bool:
    """Whether FFmpeg's scaler gives the samples of a format exactly: not of colours of few bits, of samples in the high
    bits of RGB, and of yuvj, whose range it changes."""
    try:
        kind = pixel_format(name)
    except InputUnsupported:
        return False
    few = bool(kind.fields) and min(kind.fields[-3:]) < 8
    return name not in LACKING and not few and "msb" not in name and "yuvj" not in name


@pytest.mark.parametrize("name", sorted(filter(is_exact, names)))
def test_samples_are_those_that_ffmpeg_finds(name: str) -> None:
    frame = noise(name)
    found, wanted = samples_of(frame), samples_of(frame.reformat(format=planar(name), interpolation=EXACT))
    assert set(found) == set(wanted)
    for letter, plane in found.items():
        np.testing.assert_array_equal(plane, wanted[letter], err_msg=letter)


@pytest.mark.parametrize("name", ["rgb565le", "bgr565be", "rgb555le", "rgb444le", "rgb8", "bgr4_byte"])
def test_colours_of_few_bits_reach_black_and_white(name: str) -> None:
    frame = av.VideoFrame(8, 4, name)
    data = np.frombuffer(memoryview(frame.planes[0]), np.uint8)
    for byte, code in ((0, 0), (255, 255)):
        data[:] = byte
        assert {int(value) for plane in samples_of(frame).values() for value in np.unique(plane)} == {code}


def test_floating_point_raw_and_hardware_frames_are_refused_with_a_sentence() -> None:
    for name in ("grayf32le", "gbrpf16le", "bayer_rggb8", "xyz12le", "cuda"):
        with pytest.raises(InputUnsupported, match=name):
            pixel_format(name)


@pytest.mark.parametrize(
    ("name", "codec", "wanted"),
    [
        ("yuv420p", "h264", "yuv420p"), ("yuvj422p", "h264", "yuv422p"), ("nv12", "h264", "yuv420p"),
        ("p010le", "h264", "yuv420p10le"), ("uyvy422", "hevc", "yuv422p"), ("yuv410p", "h264", "yuv420p"),
        ("yuv411p", "h264", "yuv422p"), ("yuv440p12be", "hevc", "yuv444p12le"), ("yuv420p9le", "hevc", "yuv420p10le"),
        ("yuv420p16le", "h264", "yuv420p10le"), ("yuv420p16le", "hevc", "yuv420p12le"),
        ("yuv420p16be", "ffv1", "yuv420p16le"), ("gray", "h264", "yuv420p"), ("gray14le", "hevc", "gray12le"),
        ("gray14le", "ffv1", "gray16le"), ("monob", "hevc", "gray"), ("pal8", "h264", "yuv444p10le"),
        ("gbrp", "ffv1", "yuv444p10le"), ("gbrp10le", "h264", "yuv444p10le"), ("rgb48le", "ffv1", "yuv444p16le"),
        ("rgb565le", "hevc", "yuv444p10le"), ("yuva420p", "ffv1", "yuva420p"), ("yuva420p", "h264", "yuv420p"),
        ("bgra", "ffv1", "yuva444p10le"), ("yuva444p12le", "ffv1", "yuva444p16le"), ("ya8", "ffv1", "yuva420p"),
        ("ya16be", "hevc", "gray12le"),
    ],
)  # fmt: skip
def test_the_table_names_the_nearest_format_that_a_codec_holds(name: str, codec: str, wanted: str) -> None:
    assert working_format(name, codec).layout.pix_fmt == wanted


def test_what_is_lost_is_said() -> None:
    assert working_format("yuv420p", "h264").notes == ()
    assert working_format("yuv420p9le", "h264").loses == ()
    assert "16 bits are rounded to 12" in working_format("yuv420p16le", "hevc").loses[0]
    assert "flattened onto black" in working_format("bgra", "h264").loses[0]
    assert "4:1:1 to 4:2:2" in working_format("yuv411p", "h264").changes[0]


def test_depths_change_exactly_or_to_the_nearest_code() -> None:
    nine = np.arange(512, dtype=np.uint16)
    np.testing.assert_array_equal(of_depth(nine, 9, 10), nine * 2)
    sixteen = np.arange(65536, dtype=np.uint16)
    rounded = of_depth(sixteen, 16, 12)
    np.testing.assert_array_equal(rounded, np.minimum((sixteen.astype(int) + 8) // 16, 4095))
    full = of_depth(np.array([0, 255], np.uint8), 8, 10, is_full_range=True)
    assert full.tolist() == [0, 1023]
    middle = of_depth(np.array([128], np.uint8), 8, 10, is_full_range=True, is_chroma=True)
    assert middle.tolist() == [512]


@pytest.mark.parametrize("name", ["yuvj420p", "yuvj444p", "yuvj422p"])
def test_full_range_becomes_limited_range_as_ffmpeg_makes_it(name: str) -> None:
    frame = noise(name)
    frame.color_range = 2
    target = f"{name.replace('j', '')}10le"
    found = conform(frame, PicturePlan(pix_fmt=target, color_range=1))
    wanted = frame.reformat(format=target, src_color_range=2, dst_color_range=1, interpolation=EXACT)
    assert found.color_range == 1
    for plane, other in zip(planes_of(found), planes_of(wanted), strict=True):
        assert np.abs(plane.astype(int) - other).max() <= 3, "to FFmpeg's scaler white is 1020 of 1023"
    levels = {code: int(planes_of(found)[0][planes_of(frame)[0] == code][0]) for code in (0, 255)}
    assert levels == {0: 64, 255: 940}


def test_only_a_codec_of_limited_range_changes_the_range() -> None:
    assert working_format("yuvj420p", "h264").color_range == 0
    assert working_format("yuv420p", "prores").color_range == 0
    assert working_format("yuvj420p", "prores").color_range == working_format("yuv420p", "prores", 2).color_range == 1
    assert not working_format("yuvj420p", "prores").loses
    assert "10 bits of full range are rounded" in working_format("yuv422p10le", "prores", 2).loses[0]


def test_every_colour_comes_back_from_two_more_bits() -> None:
    """By the equations of BT.709, written out."""
    rng = np.random.default_rng(2)
    colors = np.concatenate([rng.integers(0, 256, (3, 200_000)), np.array([[0, 255], [0, 255], [255, 0]])], axis=1)
    red, green, blue = colors.astype(np.uint8)[:, None, :]
    y, u, v = (np.clip(np.floor(plane + 0.5), 0, 1023) for plane in to_ycbcr(red, green, blue, 8, 10))
    luma, cb, cr = y / 1023, (u - 512) / 1023, (v - 512) / 1023
    back = np.stack([luma + 1.5748 * cr, np.zeros_like(luma), luma + 1.8556 * cb])
    back[1] = (luma - 0.2126 * back[0] - 0.0722 * back[2]) / 0.7152
    np.testing.assert_array_equal(np.clip(back * 255, 0, 255).round()[:, 0], colors)


def test_411_keeps_its_samples_in_422() -> None:
    frame = noise("yuv411p", width=72)
    before = samples_of(frame)
    luma, u, v = planes_of(conform(frame, PicturePlan(pix_fmt="yuv422p")))
    np.testing.assert_array_equal(luma, before["Y"])
    np.testing.assert_array_equal(u[:, ::2], before["U"])
    np.testing.assert_array_equal(v[:, ::2], before["V"])


@pytest.mark.parametrize(("name", "target"), [("yuv410p", "yuv420p"), ("yuv440p", "yuv444p"), ("yuv444p", "yuv420p")])
def test_resampled_chroma_is_as_smooth_as_before_and_in_its_place(name: str, target: str) -> None:
    """A ramp stays the same ramp, but for what lies at the border."""
    frame = av.VideoFrame(64, 64, name)
    kind = PlaneLayout.of(target)
    assert kind is not None
    planes = samples_of(frame)
    rows, columns = planes["U"].shape
    for letter in "YUV":
        down, across = 64 // planes[letter].shape[0], 64 // planes[letter].shape[1]
        place = (np.arange(planes[letter].shape[0]) + 0.5) * down
        planes[letter][:] = (place[:, None] * 2 + np.arange(planes[letter].shape[1]) * across).astype(np.uint8)
    result = planes_of(conform(frame, PicturePlan(pix_fmt=target)))
    down, across = kind.subsampling
    place = (np.arange(result[1].shape[0]) + 0.5) * down
    wanted = place[:, None] * 2 + np.arange(result[1].shape[1]) * across
    inner = np.s_[6:-6, 6:-6]
    assert np.abs(result[1][inner].astype(float) - wanted[inner]).max() <= 1


def test_a_frame_that_is_right_passes_untouched() -> None:
    frame = noise("yuv420p")
    assert conform(frame, PicturePlan(pix_fmt="yuv420p", size=(WIDTH, HEIGHT))) is frame


def test_cropping_leaves_the_inner_picture() -> None:
    frame = noise("yuv420p")
    luma, u, _ = planes_of(conform(frame, PicturePlan(pix_fmt="yuv420p", crop=(6, 4, 10, 8), size=(54, 24))))
    before = planes_of(frame)
    np.testing.assert_array_equal(luma, before[0][4:28, 6:60])
    np.testing.assert_array_equal(u, before[1][2:14, 3:30])


@pytest.mark.parametrize("name", ["yuv420p", "nv12", "gbrp", "yuva444p10le"])
def test_another_size_is_fitted_between_black_bars(name: str) -> None:
    layout = working_format(name).layout
    frame = noise(name, width=40, height=40)
    plan = PicturePlan(pix_fmt=layout.pix_fmt, size=(128, 64), is_rgb=name == "gbrp")
    result = conform(frame, plan)
    assert (result.width, result.height, result.format.name) == (128, 64, layout.pix_fmt)
    luma = planes_of(result)[0]
    assert len(np.unique(luma[:, :32])) == len(np.unique(luma[:, 96:])) == 1, "bars"
    assert luma[:, 32:96].std() > luma.max() / 20, "picture"


def test_interlaced_packed_frames_are_deinterlaced() -> None:
    frames = [noise("uyvy422", width=64, height=64, seed=seed) for seed in range(4)]
    items = [DecodedFrame(pts=n, frame=frame, is_repeat=False) for n, frame in enumerate(frames)]
    plan = PicturePlan(pix_fmt="yuv422p", size=(64, 64), deinterlace="single")
    found = list(presented(iter(items), plan, 0))
    assert [(item.pts, item.frame.format.name) for item in found] == [(n, "yuv422p") for n in range(4)]


def shape(fmt: str, garbage: tuple[int, int, int]) -> av.VideoFrame:
    """A red disc with a soft edge; `garbage` is the colour that nobody sees."""
    rows, columns = np.mgrid[0:64, 0:96]
    alpha = np.clip((20 - np.hypot(columns - 40, rows - 32)) / 2 * 255 + 128, 0, 255).astype(np.uint8)
    picture = np.zeros((64, 96, 4), np.uint8)
    picture[..., :3] = np.where(alpha[..., None] > 0, (255, 0, 0), garbage)
    picture[..., 3] = alpha
    return av.VideoFrame.from_ndarray(picture, format="rgba").reformat(format=fmt)


def test_what_nobody_sees_does_not_bleed_into_what_is_seen() -> None:
    plan = PicturePlan(pix_fmt="yuva444p10le", is_rgb=True)
    one, other = (planes_of(conform(shape("rgba", garbage), plan)) for garbage in ((0, 255, 0), (0, 0, 255)))
    red = [np.unique(plane[one[3] == 1023]) for plane in one[:3]]
    for plane, opposite, color in zip(one[:3], other[:3], red, strict=True):
        assert np.abs(plane.astype(int) - int(color[0])).max() <= 4, "red, seen or not"
        np.testing.assert_allclose(plane, opposite, atol=4)


def test_flattened_alpha_is_what_is_seen_before_black() -> None:
    flat = planes_of(conform(shape("rgba", (0, 255, 0)), PicturePlan(pix_fmt="yuv444p10le", is_rgb=True)))
    assert (flat[0][0, 0], flat[1][0, 0], flat[2][0, 0]) == (0, 512, 512)
    assert flat[0][32, 40] == round(0.2126 * 1023)


def test_enlarged_alpha_keeps_the_ends_of_its_scale() -> None:
    alpha = np.repeat(np.array([[0, 0, 0, 1023, 1023, 1023]], np.uint16), 6, axis=0)
    result = enlarged(alpha, (12, 12), 10)
    assert result.shape == (12, 12)
    assert (result[:, :4] == 0).all()
    assert (result[:, 8:] == 1023).all()


@pytest.mark.parametrize("width", [1, 3, 8, 33])
def test_odd_sizes_keep_all_columns(width: int) -> None:
    for name in ("nv12", "yuyv422", "uyyvyy411", "yuv410p", "pal8", "monow", "rgb565le", "ya16le"):
        layout = working_format(name).layout
        result = conform(noise(name, width=width, height=7), PicturePlan(pix_fmt=layout.pix_fmt))
        assert (result.width, result.height) == (width, 7)


def test_frames_and_planes_are_the_same_thing() -> None:
    layout = PlaneLayout(chroma="420", bit_depth=12)
    planes: Any = tuple(
        np.random.default_rng(n).integers(0, 4096, shape, dtype=np.uint16)
        for n, shape in enumerate(layout.shapes(33, 17))
    )
    frame = frame_of(planes, layout)
    frame.time_base = Fraction(1, 25)
    for plane, back in zip(planes, planes_of(frame), strict=True):
        np.testing.assert_array_equal(plane, back)
