"""Whole jobs on still pictures: made by ImageMagick and exiftool, and read by them."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pillow_jxl  # noqa: F401  registers itself
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from sr_tasks.config import Settings
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.steps import pipeline
from sr_tasks.telemetry.progress import Observers
from tests import readers

pillow_heif.register_heif_opener()
WIDTH, HEIGHT = 60, 40
PLAIN = (
    "-size",
    f"{WIDTH}x{HEIGHT}",
    "gradient:red-blue",
    "-fill",
    "yellow",
    "-draw",
    "circle 30,20 30,8",
    "-alpha",
    "off",
)
SOFT = (
    "(",
    "-size",
    f"{WIDTH}x{HEIGHT}",
    "gradient:white-black",
    ")",
    "-alpha",
    "off",
    "-compose",
    "CopyOpacity",
    "-composite",
)
GRAY = ("-colorspace", "Gray")
TAGS = ("-Make=Maker", "-Model=Camera 7", "-ISO=320", "-GPSLatitude=51.5", "-GPSLatitudeRef=N", "-Artist=A. Person")
XMP = ("-XMP-dc:Title=A title", "-XMP-dc:Creator=A. Person")
UNREAD = (".avif", ".heic", ".jxl")
"""What Debian's ImageMagick may not read."""
TURNS = {1: 0, 3: 2, 6: -1, 8: 1}
"""EXIF's orientation -> quarter turns to the left that show the picture upright."""


@dataclass(frozen=True)
class Kind:
    """A picture, and what its output has to be."""

    name: str
    convert: tuple[str, ...]
    suffix: str
    output: str = ""
    """Suffix; empty: that of the source."""
    depth: int = 8
    alpha: bool = False
    gray: bool = False
    tags: tuple[str, ...] = ()
    """Arguments of exiftool."""
    orientation: int = 1
    icc: bool = False
    dpi: int = 0
    kept: tuple[str, ...] = field(default=("EXIF", "XMP", "dpi"))
    """What the output's format holds."""


def kinds() -> list[Kind]:
    png16 = ("-depth", "16", "-define", "png:bit-depth=16")
    found = [
        Kind("png", PLAIN, ".png"),
        Kind("png gray", (*PLAIN, *GRAY, "-define", "png:color-type=0"), ".png", gray=True),
        Kind("png palette", (*PLAIN, "-colors", "16", "-type", "Palette"), ".png"),
        Kind("png bilevel", (*PLAIN, *GRAY, "-threshold", "50%", "-type", "Bilevel"), ".png", gray=True),
        Kind("png alpha", (*PLAIN, *SOFT), ".png", alpha=True),
        Kind("png gray alpha", (*PLAIN, *GRAY, *SOFT, "-define", "png:color-type=4"), ".png", alpha=True, gray=True),
        Kind("png 16", (*PLAIN, *png16), ".png", depth=16),
        Kind("png 16 gray", (*PLAIN, *GRAY, *png16, "-define", "png:color-type=0"), ".png", depth=16, gray=True),
        Kind("png 16 alpha", (*PLAIN, *SOFT, *png16), ".png", depth=16, alpha=True),
        Kind("png interlaced", (*PLAIN, "-interlace", "PNG"), ".png"),
        Kind("jpeg", (*PLAIN, "-quality", "92"), ".jpg"),
        Kind("jpeg gray", (*PLAIN, *GRAY, "-quality", "92"), ".jpg", gray=True),
        Kind("jpeg 4:4:4", (*PLAIN, "-sampling-factor", "1x1"), ".jpg"),
        Kind("jpeg progressive", (*PLAIN, "-interlace", "JPEG", "-quality", "90"), ".jpeg"),
        Kind("jpeg cmyk", (*PLAIN, "-colorspace", "CMYK", "-quality", "95"), ".jpg"),
        Kind("webp", (*PLAIN, "-quality", "90"), ".webp", kept=("EXIF", "XMP")),
        Kind(
            "webp lossless alpha",
            (*PLAIN, *SOFT, "-define", "webp:lossless=true"),
            ".webp",
            alpha=True,
            kept=("EXIF", "XMP"),
        ),
        Kind("tiff", (*PLAIN, "-compress", "None"), ".tif"),
        Kind("tiff lzw", (*PLAIN, "-compress", "LZW"), ".tiff"),
        Kind("tiff zip gray", (*PLAIN, *GRAY, "-compress", "Zip"), ".tif", gray=True),
        Kind("tiff palette", (*PLAIN, "-colors", "16", "-type", "Palette"), ".tif"),
        Kind("tiff alpha", (*PLAIN, *SOFT, "-compress", "LZW"), ".tif", alpha=True),
        Kind("tiff 16", (*PLAIN, "-depth", "16", "-compress", "LZW"), ".tif", depth=16),
        Kind("tiff 16 big", (*PLAIN, "-depth", "16", "-endian", "MSB"), ".tif", depth=16),
        Kind("tiff 16 gray", (*PLAIN, *GRAY, "-depth", "16", "-compress", "Zip"), ".tif", depth=16, gray=True),
        Kind("tiff 16 alpha", (*PLAIN, *SOFT, "-depth", "16", "-compress", "Zip"), ".tif", depth=16, alpha=True),
        Kind("tiff cmyk", (*PLAIN, "-colorspace", "CMYK", "-compress", "LZW"), ".tif"),
        Kind("tiff to png", (*PLAIN, "-depth", "16"), ".tif", output=".png", depth=16),
        Kind("bmp", PLAIN, ".bmp", kept=()),
        Kind("bmp gray", (*PLAIN, *GRAY), ".bmp", gray=True, kept=()),
        Kind("gif", (*PLAIN, "-colors", "64"), ".gif", output=".png"),
        Kind("gif transparent", (*PLAIN, "-transparent", "yellow"), ".gif", output=".png", alpha=True),
        Kind("png to jpeg", PLAIN, ".png", output=".jpg"),
        Kind("png to webp", (*PLAIN, *SOFT), ".png", output=".webp", alpha=True, kept=("EXIF", "XMP")),
        Kind("png 16 to tiff", (*PLAIN, *png16), ".png", output=".tif", depth=16),
        Kind("png to avif", PLAIN, ".png", output=".avif", kept=()),
    ]
    turned = [
        Kind(f"jpeg turned {way}", (*PLAIN, "-quality", "92"), ".jpg", tags=TAGS, orientation=way)
        for way in range(1, 9)
    ]
    tagged = [
        Kind(f"{name} with everything", (*PLAIN, *more), suffix, depth=depth, alpha=alpha, tags=(*TAGS, *XMP),
             orientation=way, icc=True, dpi=300, kept=kept)
        for name, more, suffix, depth, alpha, way, kept in (
            ("jpeg", ("-quality", "90"), ".jpg", 8, False, 6, ("EXIF", "XMP", "dpi")),
            ("png", (), ".png", 8, False, 1, ("EXIF", "XMP", "dpi")),
            ("png alpha", SOFT, ".png", 8, True, 3, ("EXIF", "XMP", "dpi")),
            ("png 16", png16, ".png", 16, False, 8, ("EXIF", "XMP", "dpi")),
            ("tiff", ("-compress", "LZW"), ".tif", 8, False, 1, ("EXIF", "XMP", "dpi")),
            ("tiff turned", ("-compress", "LZW"), ".tif", 8, False, 6, ("EXIF", "XMP", "dpi")),
            ("tiff 16", ("-depth", "16"), ".tif", 16, False, 1, ("EXIF", "XMP", "dpi")),
            ("tiff 16 turned", ("-depth", "16"), ".tif", 16, False, 8, ("EXIF", "XMP", "dpi")),
            ("webp", ("-quality", "90"), ".webp", 8, False, 6, ("EXIF", "XMP")),
            ("webp alpha", SOFT, ".webp", 8, True, 1, ("EXIF", "XMP")),
        )
    ]  # fmt: skip
    crossed = [
        Kind(f"jpeg with everything to {suffix[1:]}", (*PLAIN, "-quality", "90"), ".jpg", output=suffix,
             tags=(*TAGS, *XMP), orientation=8, icc=True, dpi=240, kept=kept)
        for suffix, kept in (
            (".png", ("EXIF", "XMP", "dpi")), (".tif", ("EXIF", "XMP", "dpi")), (".webp", ("EXIF", "XMP")),
            (".avif", ("EXIF", "XMP")), (".heic", ("EXIF", "XMP")), (".bmp", ("dpi",)),
        )
    ]  # fmt: skip
    rare = [
        Kind("avif", PLAIN, ".avif", tags=TAGS, kept=("EXIF",)),
        Kind("avif to png", PLAIN, ".avif", output=".png"),
        Kind("heic", PLAIN, ".heic", tags=TAGS, kept=("EXIF",)),
        Kind("heic to jpeg", PLAIN, ".heic", output=".jpg", tags=TAGS, kept=("EXIF",)),
        Kind("jpeg xl", PLAIN, ".jxl", output=".png"),
        Kind("jpeg xl alpha", (*PLAIN, *SOFT), ".jxl", output=".png", alpha=True),
    ]
    return found + turned + tagged + crossed + rare


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """One scratch folder, so that each graph is prepared once."""
    return dataclasses.replace(Settings(), workdir=tmp_path_factory.mktemp("work"), precision="fp32")


def enhanced(settings: Settings, source: Path, output: Path | None = None, **spec: Any) -> dict[str, Any]:
    request = JobSpec(source=str(source), output=output and str(output), **{"model": "bicubic", **spec})
    return pipeline.run(request, f"picture-{source.stem}", settings, Observers([]))


def made(folder: Path, kind: Kind) -> Path:
    """The picture of a kind."""
    path = folder / f"source{kind.suffix}"
    density = ("-units", "PixelsPerInch", "-density", str(kind.dpi)) if kind.dpi else ()
    readers.run("convert", *kind.convert, "-depth", kind.depth, *density, plain_of(path))
    if path != plain_of(path):
        Image.open(plain_of(path)).convert("RGBA" if kind.alpha else "RGB").save(path)
    turned = (f"-Orientation#={kind.orientation}",) if kind.orientation > 1 else ()
    if kind.tags or turned:
        readers.run("exiftool", "-q", "-overwrite_original", *kind.tags, *turned, path)
    if kind.icc:
        profile = folder / "profile.icc"
        profile.write_bytes(srgb())
        readers.run("exiftool", "-q", "-overwrite_original", f"-icc_profile<={profile}", path)
    return path


def plain_of(path: Path) -> Path:
    """The picture itself, or the PNG that it is made of where ImageMagick does not write its format."""
    return path.with_suffix(".png") if path.suffix in UNREAD else path


def srgb() -> bytes:
    return bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())


def pixels(path: Path, *how: str) -> NDArray[np.float64]:
    """[rows, columns, 4] in 0..1, as ImageMagick shows the picture upright."""
    shape = readers.run("convert", path, "-auto-orient", *how, "-format", "%w %h", "info:").split()
    raw = readers.run(
        "convert", path, "-auto-orient", *how, "-colorspace", "sRGB", "-depth", "16", "-endian", "LSB", "RGBA:-"
    )
    return np.frombuffer(raw, "<u2").reshape(int(shape[1]), int(shape[0]), 4) / 65535


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.name)
def test_each_kind_of_picture_comes_out_twice_as_large_with_all_it_held(
    kind: Kind, settings: Settings, tmp_path: Path
) -> None:
    source = made(tmp_path, kind)
    output = tmp_path / f"output{kind.output or kind.suffix}"
    answer = enhanced(settings, source, output)
    assert answer["status"] == "COMPLETED"
    upright = (HEIGHT, WIDTH) if kind.orientation >= 5 else (WIDTH, HEIGHT)
    facts = readers.exif(output)
    assert (facts["ImageWidth"], facts["ImageHeight"]) == (2 * upright[0], 2 * upright[1])
    assert facts.get("Orientation", 1) in (1, "Horizontal (normal)")
    if output.suffix not in UNREAD:
        depth = int(readers.run("identify", "-format", "%z", output))
        assert (depth == 16) == (kind.depth == 16)
        before, after = pixels(plain_of(source)), pixels(output, "-resize", "50%")
        if kind.suffix in (".png", ".webp"):  # whose EXIF ImageMagick does not heed
            before = np.rot90(before, TURNS[kind.orientation])
        visible = before[..., 3:] * after[..., 3:] > 0.5
        off = np.abs(before - after) * np.dstack([visible] * 3 + [np.ones_like(visible)])
        assert off.mean() < 0.03, off.mean()
        assert (after[..., 3].min() < 0.9) == kind.alpha
    if kind.tags and "EXIF" in kind.kept:
        assert (facts["Make"], facts["Model"], facts["ISO"]) == ("Maker", "Camera 7", 320)
        assert float(facts["GPSLatitude"].split()[0]) == 51 if isinstance(facts["GPSLatitude"], str) else True
    if set(XMP) & set(kind.tags) and "XMP" in kind.kept:
        assert facts["Title"] == "A title"
    if kind.icc and "EXIF" in kind.kept:
        assert facts["ProfileDescription"] == "sRGB built-in"
    if kind.dpi and "dpi" in kind.kept:
        per_metre = facts.get("PixelsPerUnitX", facts.get("PixelsPerMeterX"))
        found = facts["XResolution"] if per_metre is None else per_metre * 0.0254
        assert found == pytest.approx(kind.dpi, rel=0.01)
