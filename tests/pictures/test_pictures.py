"""Samples of pictures on their way in and out: exact colours, no fringes, deep files, orientation, tables of a JPEG."""

import io
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
import pytest
from PIL import Image

from sr_tasks.pictures.exif import upright
from sr_tasks.pictures.kinds import format_of
from sr_tasks.pictures.reading import Metadata, Picture, facts_of, read
from sr_tasks.pictures.samples import enlarge
from sr_tasks.pictures.writing import write
from sr_tasks.planes.arrays import Planes
from tests import readers


def doubled(planes: Planes) -> Planes:
    """What stands for a network: each px four times."""
    return tuple(np.repeat(np.repeat(plane, 2, axis=0), 2, axis=1) for plane in planes)


@pytest.mark.parametrize("bits", [8, 16])
def test_every_colour_comes_back_within_one_code(bits: int) -> None:
    rng = np.random.default_rng(3)
    samples = rng.integers(0, 2**bits, (64, 96, 3), np.uint8 if bits == 8 else np.uint16)
    samples[0, :4] = [[0, 0, 0], [2**bits - 1] * 3, [2**bits - 1, 0, 0], [0, 0, 2**bits - 1]]
    large, _, _ = enlarge(Picture(samples=samples, alpha=None, metadata=Metadata()), doubled)
    off = np.abs(large.samples[::2, ::2].astype(int) - samples)
    assert off.max() <= (0 if bits == 8 else 1)


def test_hidden_colours_do_not_bleed_into_an_edge(tmp_path: Path) -> None:
    alpha = np.full((40, 60), 255, np.uint8)
    alpha[:, 30:] = 0
    samples = np.where(alpha[..., None] > 0, (250, 128, 10), (0, 0, 255)).astype(np.uint8)

    def smooth(planes: Planes) -> Planes:
        size = (120, 80)
        return tuple(cv2.resize(plane, size, interpolation=cv2.INTER_CUBIC) for plane in planes)

    large, _, _ = enlarge(Picture(samples=samples, alpha=alpha, metadata=Metadata()), smooth)
    assert large.alpha is not None
    seen = large.samples[large.alpha > 8].astype(int)
    assert np.abs(seen - (250, 128, 10)).max() <= 2


@pytest.mark.parametrize(("suffix", "bits"), [(".avif", 10), (".heic", 10), (".png", 16), (".tif", 16)])
def test_deep_files_are_read_at_their_depth(suffix: str, bits: int, tmp_path: Path) -> None:
    ramp = np.linspace(4000, 60000, 128).astype(np.uint16)
    samples = np.broadcast_to(ramp[None, :, None], (64, 128, 3)).copy()
    path = tmp_path / f"deep{suffix}"
    if suffix == ".heic":
        image = pillow_heif.from_bytes(mode="RGB;16", size=(128, 64), data=samples.tobytes())
        image.save(path, quality=-1)
    else:
        options = [cv2.IMWRITE_AVIF_DEPTH, 10, cv2.IMWRITE_AVIF_QUALITY, 100] if suffix == ".avif" else []
        assert cv2.imwrite(str(path), samples >> 6 if suffix == ".avif" else samples, options)
    facts, picture = read(path)
    assert (facts.bit_depth, picture.samples.dtype) == (bits, np.uint16)
    assert len(np.unique(picture.samples[:, :, 1])) > 120, "more steps than 8 bits have in this range would need"
    assert np.abs(picture.samples.astype(int) - samples).max() <= 65535 // 2**bits * 4


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".tif", ".jpg", ".png", ".webp"])
def test_each_orientation_is_applied_once(suffix: str, orientation: int, bits: int, tmp_path: Path) -> None:
    if bits == 16 and suffix in (".jpg", ".webp"):
        bits = 8
    upright_px = np.zeros((48, 64, 3), np.uint8)
    upright_px[:24, :32] = (250, 20, 20)
    stored = {
        1: upright_px, 2: upright_px[:, ::-1], 3: upright_px[::-1, ::-1], 4: upright_px[::-1],
        5: upright_px.swapaxes(0, 1), 6: np.rot90(upright_px, 1), 7: np.rot90(upright_px, 2).swapaxes(0, 1),
        8: np.rot90(upright_px, -1),
    }[orientation]  # fmt: skip
    path = tmp_path / f"turned{suffix}"
    deep = np.ascontiguousarray(stored[:, :, ::-1]).astype(np.uint16) * 257
    cv2.imwrite(str(path), deep if bits == 16 else (deep >> 8).astype(np.uint8))
    readers.run("exiftool", "-q", "-overwrite_original", f"-Orientation#={orientation}", path)
    facts, picture = read(path)
    assert (facts.width, facts.height, facts.orientation) == (64, 48, orientation)
    assert np.abs((picture.samples >> (bits - 8)).astype(int) - upright_px).mean() < 3


def test_exif_keeps_its_bytes_but_for_orientation_and_size() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    exif.get_ifd(0x8769).update({0xA002: 100, 0xA003: 50, 0x927C: b"maker note with offsets"})
    before = exif.tobytes()
    after = upright(before, 200, 400)
    assert len(after) == len(before)
    assert sum(one != other for one, other in zip(before, after, strict=True)) <= 6
    found = Image.Exif()
    found.load(after)
    assert (found[0x0112], found.get_ifd(0x8769)[0xA002], found.get_ifd(0x8769)[0xA003]) == (1, 200, 400)


@pytest.mark.parametrize("quality", [60, 90, 98])
def test_a_jpeg_is_nowhere_coarser_than_its_source(quality: int, tmp_path: Path) -> None:
    noise = np.random.default_rng(4).integers(0, 256, (40, 60, 3), np.uint8)
    source, output = tmp_path / "in.jpg", tmp_path / "out.jpg"
    Image.fromarray(noise).save(source, quality=quality, subsampling="4:2:2")
    facts, picture = read(source)
    write(picture, output, "JPEG", subsampling=facts.subsampling)
    least = io.BytesIO()
    Image.fromarray(noise).save(least, "JPEG", quality=90)
    tables = [Image.open(file).quantization for file in (output, source, least)]  # type: ignore[attr-defined]
    for place in (0, 1):
        assert all(out <= min(own, most) for out, own, most in zip(*(table[place] for table in tables), strict=True))
    assert readers.exif(output)["YCbCrSubSampling"] == "YCbCr4:2:2 (2 1)"


def test_a_still_gif_is_a_picture_and_a_moving_one_is_none(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (16, 16), (80 * step, 0, 200)) for step in range(3)]
    for suffix in ("gif", "png", "webp"):
        still, moving = tmp_path / f"still.{suffix}", tmp_path / f"moving.{suffix}"
        frames[0].save(still)
        frames[0].save(moving, save_all=True, append_images=frames[1:])
        assert format_of(still) == suffix.upper()
        assert format_of(moving) is None


def test_cmyk_goes_through_plain_arithmetic_without_a_profile_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "print.tif"
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(path)
    facts = facts_of(path)
    assert facts.notes == ("CMYK becomes sRGB without a profile, since it has none",)
    _, picture = read(path)
    assert picture.samples[0, 0].tolist() == [255, 0, 0]
    assert picture.metadata.icc
