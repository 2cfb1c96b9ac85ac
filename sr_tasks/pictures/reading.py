"""Reads a still picture: samples of gray or of R'G'B' at their full depth, upright, with alpha and metadata."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from sr_tasks.errors import InputInvalid, InputUnsupported
from sr_tasks.pictures import profiles
from sr_tasks.pictures.depth import bits_of
from sr_tasks.pictures.opened import opened
from sr_tasks.planes.arrays import Plane
from sr_tasks.records.pictures import PictureFacts, PictureFormat

_ORIENTATION: Final = 0x0112
_TIFF_TAGS: Final = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)
"""Description, make, model, software, time, artist, copyright: what a TIFF says beside how its samples lie."""
_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_XMP_TAG, _IPTC_TAG, _SAMPLE_FORMAT_TAG, _SUBFILE_TAG = 700, 33723, 339, 254
_GRAY: Final = ("1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I;16N")
_COLOR: Final = ("P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")
_SUBSAMPLINGS: Final = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What a picture file holds beside samples; empty where it holds none."""

    icc: bytes = b""
    exif: bytes = b""
    xmp: bytes = b""
    dpi: tuple[float, float] | None = None
    quantisation: dict[int, list[int]] = field(default_factory=dict)
    """Tables of a JPEG, in zigzag order."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A decoded picture. `samples` are [rows, columns, 1 or 3] and `alpha` [rows, columns], uint8 or uint16, over the
    whole range of their type."""

    samples: NDArray[Any]
    alpha: Plane | None
    metadata: Metadata

    @property
    def bits(self) -> int:
        """8 or 16."""
        return 8 * self.samples.dtype.itemsize


def facts_of(path: Path, *, max_pixels: int | None = None) -> PictureFacts:
    """What the header of a picture says. Decodes as little as its reader lets.

    Raises InputTooLarge past `max_pixels`, InputInvalid, and InputUnsupported for samples of another kind.
    """
    with opened(path, max_pixels=max_pixels) as (image, name):
        return _facts(path, image, name)


def read(path: Path) -> tuple[PictureFacts, Picture]:
    """A still picture, whole. Raises what `facts_of` raises, and InputInvalid for one that does not decode."""
    with opened(path) as (image, name):
        facts = _facts(path, image, name)
        metadata = _metadata(image, name)
        if facts.working_bits == 16:
            samples, alpha = _deep(path, image, facts)
        else:
            samples, alpha, icc = _shallow(image, facts)
            if icc is not None:
                metadata = Metadata(icc=icc, exif=metadata.exif, xmp=metadata.xmp, dpi=metadata.dpi)
    if facts.format != "TIFF":  # whose readers turn it
        samples = turned(samples, facts.orientation)
        alpha = None if alpha is None else turned(alpha, facts.orientation)
    if samples.shape[:2] != (facts.height, facts.width):
        rows, columns = samples.shape[:2]
        raise InputInvalid(f"{path.name} decodes to {columns}x{rows}, not {facts.width}x{facts.height} as it says.")
    return facts, Picture(samples=samples, alpha=alpha, metadata=metadata)


def turned(samples: Any, orientation: int) -> Any:
    """Samples [rows, columns, ...] as EXIF's `orientation` wants them shown; contiguous."""
    if orientation >= 5:
        samples = samples.swapaxes(0, 1)
    flips = {2: (1,), 3: (0, 1), 4: (0,), 6: (1,), 7: (0, 1), 8: (0,)}.get(orientation, ())
    return np.ascontiguousarray(np.flip(samples, flips) if flips else samples)


def _facts(path: Path, image: Image.Image, name: PictureFormat) -> PictureFacts:
    if image.mode not in _GRAY + _COLOR:
        raise InputUnsupported(
            f"{path.name} has samples of the kind {image.mode}, which are not read.",
            hint="Convert it to 8 or 16 bit gray or RGB first.",
        )
    _refuse_pages(path, image, name)
    bits, is_gray = bits_of(path, image, name), image.mode in _GRAY
    has_alpha = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    if name == "PNG" and bits == 16:
        is_gray = path.read_bytes()[25] in (0, 4)
    orientation = _orientation(image, name)
    width, height = image.size
    if orientation >= 5 and name != "TIFF":  # whose reader turns it
        width, height = height, width
    metadata = _metadata(image, name)
    return PictureFacts(
        format=name, width=width, height=height, mode=image.mode, is_gray=is_gray, has_alpha=has_alpha, bit_depth=bits,
        orientation=orientation,
        subsampling=_SUBSAMPLINGS.get(JpegImagePlugin.get_sampling(image), "") if name == "JPEG" else "",
        has_icc=bool(metadata.icc), has_exif=bool(metadata.exif), has_xmp=bool(metadata.xmp),
        exif_bytes=len(metadata.exif), xmp_bytes=len(metadata.xmp), dpi=metadata.dpi,
        notes=tuple(_notes(image, name)),
    )  # fmt: skip


def _notes(image: Image.Image, name: PictureFormat) -> list[str]:
    notes = []
    if image.mode == "CMYK":
        way = "through its ICC profile" if image.info.get("icc_profile") else "without a profile, since it has none"
        notes.append(f"CMYK becomes sRGB {way}")
    if image.format == "MPO":
        notes.append("the further pictures of the file (previews, depth, gain map) are left out")
    tags = getattr(image, "tag_v2", {})
    if "photoshop" in image.info or _IPTC_TAG in tags:
        notes.append("IPTC and Photoshop's own blocks are left out")
    return notes


def _refuse_pages(path: Path, image: Image.Image, name: PictureFormat) -> None:
    pages = getattr(image, "n_frames", 1)
    if name == "TIFF" and pages > 1:
        raise InputUnsupported(
            f"{path.name} has {pages} pages; pictures of one page are enhanced.", hint="Split it into pages first."
        )
    sample_format = getattr(image, "tag_v2", {}).get(_SAMPLE_FORMAT_TAG, (1,))
    if name == "TIFF" and set(sample_format) != {1}:
        raise InputUnsupported(
            f"{path.name} has signed or floating samples, which are not read.", hint="Convert it to 16 bit first."
        )


def _orientation(image: Image.Image, name: PictureFormat) -> int:
    if name in ("HEIF", "JXL"):  # whose readers turn the picture themselves
        return 1
    if name == "TIFF":
        value = getattr(image, "tag_v2", {}).get(_ORIENTATION, 1)
    else:
        value = image.getexif().get(_ORIENTATION, 1)
    return value if value in range(1, 9) else 1


def _metadata(image: Image.Image, name: PictureFormat) -> Metadata:
    info = image.info
    xmp = info.get("xmp") or getattr(image, "tag_v2", {}).get(_XMP_TAG) or b""
    xmp = xmp.encode() if isinstance(xmp, str) else bytes(xmp)
    dpi = info.get("dpi")
    return Metadata(
        icc=profiles.fitting(info.get("icc_profile") or b"", is_gray=image.mode in _GRAY),
        exif=_of_tiff(image) if name == "TIFF" else _exif(image),
        xmp=xmp,
        dpi=(float(dpi[0]), float(dpi[1])) if dpi and min(dpi) > 0 else None,
        quantisation=dict(getattr(image, "quantization", None) or {}) if name == "JPEG" else {},
    )


def _exif(image: Image.Image) -> bytes:
    if "Raw profile type exif" in image.info:
        return image.getexif().tobytes()
    return image.info.get("exif") or b""


def _of_tiff(image: Image.Image) -> bytes:
    """The tags of a TIFF that are no description of its samples, as an EXIF block."""
    found, kept = image.getexif(), Image.Exif()
    for tag in _TIFF_TAGS:
        if tag in found:
            kept[tag] = found[tag]
    for tag in (_EXIF_IFD, _GPS_IFD):
        inner = found.get_ifd(tag)
        if inner:
            kept.get_ifd(tag).update(inner)
            kept._ifds[tag] = inner
    return kept.tobytes() if len(kept) or kept._ifds else b""


def _shallow(image: Image.Image, facts: PictureFacts) -> tuple[Any, Any, bytes | None]:
    """Samples and alpha of 8 bits, and the profile that colours were converted to, if they were."""
    icc = None
    if image.mode == "CMYK":
        image, icc = profiles.to_srgb(image)
    gray = "L" if facts.is_gray else "RGB"
    wanted = {"L": "LA", "RGB": "RGBA"}[gray] if facts.has_alpha else gray
    if image.mode == "P" and facts.has_alpha and not facts.is_gray:
        wanted = "RGBA"
    values = np.asarray(image if image.mode == wanted else image.convert(wanted))
    if values.ndim == 2:
        values = values[:, :, np.newaxis]
    if not facts.has_alpha:
        return values, None, icc
    return values[:, :, :-1], values[:, :, -1], icc


def _deep(path: Path, image: Image.Image, facts: PictureFacts) -> tuple[Any, Any]:
    """Samples and alpha, spread over 16 bits, from a reader that does not cut them to 8."""
    values: Any
    image.load()  # which refuses a file that was cut short, where the others go on
    if facts.format == "HEIF":
        import pillow_heif

        values = np.asarray(pillow_heif.open_heif(path, convert_hdr_to_8bit=False))
    elif image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.uint16)
    else:
        values = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
        if values is None or values.dtype != np.uint16:
            raise InputUnsupported(
                f"{path.name} has {facts.bit_depth} bits a sample in a way that is not read.",
                hint="Convert it to a 16 bit PNG first.",
            )
        values = values if values.ndim == 2 else values[:, :, [2, 1, 0, 3][: values.shape[2]]]
    values = values[:, :, np.newaxis] if values.ndim == 2 else values
    if facts.format == "AVIF":
        peak = 2**facts.bit_depth - 1
        values = ((values.astype(np.uint32) * 65535 + peak // 2) // peak).astype(np.uint16)
    has_alpha = values.shape[2] in (2, 4)
    colors = values[:, :, :-1] if has_alpha else values
    colors = colors[:, :, :1] if facts.is_gray else colors
    return colors, (values[:, :, -1] if has_alpha and facts.has_alpha else None)
