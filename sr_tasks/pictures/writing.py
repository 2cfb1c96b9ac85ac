"""Writes a still picture in the format of its target, with all the metadata that the format holds."""

import io
import struct
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from PIL import Image, PngImagePlugin

from sr_tasks.errors import TargetUnwritable
from sr_tasks.jobs.form import Strip
from sr_tasks.pictures import tiff
from sr_tasks.pictures.exif import stripped, upright, upright_xmp
from sr_tasks.pictures.reading import Metadata, Picture
from sr_tasks.records.pictures import PICTURE_FORMATS, PictureFormat

JPEG_QUALITY: Final = 90
"""The least: a JPEG of better tables keeps them."""
_WEBP_QUALITY, _AVIF_QUALITY, _HEIF_QUALITY = 92, 85, 90
_STRUCTURAL: Final = (b"IHDR", b"IDAT", b"IEND", b"PLTE", b"tRNS", b"sBIT")
_SUBSAMPLINGS: Final = ("4:4:4", "4:2:2", "4:2:0")


def write(
    picture: Picture, path: Path, name: PictureFormat, *, strip: Strip = "nothing", subsampling: str = ""
) -> None:
    """Write a picture as `name`, whatever the path is called. 16-bit samples are rounded to 8 where the format holds no
    more. `subsampling` is that of chroma in a JPEG: `4:4:4` unless it is named.

    The format has to hold the picture: see `fates.target_format`. Raises TargetUnwritable if the encoder gives up.
    """
    row = PICTURE_FORMATS[name]
    rows, columns = picture.samples.shape[:2]
    metadata = prepared(picture.metadata, strip, columns, rows, row.max_block_bytes)
    options = _options(metadata, name)
    try:
        if name == "PNG":
            data = _png(picture, options)
        elif name == "TIFF":
            data = tiff.encoded(_tiff_parts(picture), options)
        elif name == "HEIF" and picture.bits == 16:
            data = _deep_heif(picture, options)
        else:
            data = _encoded(_image(picture, 8), name, options | _lossy(metadata, name, subsampling))
    except (OSError, ValueError, RuntimeError, cv2.error) as exc:
        raise TargetUnwritable(f"{name} cannot be written: {exc}.", hint="Name an output that ends in .png.") from exc
    path.write_bytes(data)


def prepared(metadata: Metadata, strip: Strip, width: int, height: int, max_bytes: int) -> Metadata:
    """Metadata as an output of that size carries it, without blocks of more than `max_bytes`. XMP, which repeats EXIF,
    goes as soon as anything is stripped."""
    exif = metadata.exif if len(metadata.exif) <= max_bytes else b""
    xmp = metadata.xmp if len(metadata.xmp) <= max_bytes else b""
    return Metadata(
        icc=metadata.icc,
        exif=upright(stripped(exif, strip), width, height) if exif else b"",
        xmp=upright_xmp(xmp) if strip == "nothing" else b"",
        dpi=metadata.dpi,
        quantisation=metadata.quantisation,
    )


def _options(metadata: Metadata, name: PictureFormat) -> dict[str, Any]:
    holds = PICTURE_FORMATS[name].holds
    found: dict[str, Any] = {}
    if metadata.icc and "ICC profile" in holds:
        found["icc_profile"] = metadata.icc
    if metadata.exif and "EXIF" in holds:
        found["exif"] = metadata.exif
    if metadata.xmp and "XMP" in holds:
        found["xmp"] = metadata.xmp
    if metadata.dpi and "resolution" in holds:
        found["dpi"] = metadata.dpi
    return found


def _lossy(metadata: Metadata, name: PictureFormat, subsampling: str) -> dict[str, Any]:
    if name == "JPEG":
        chosen = subsampling if subsampling in _SUBSAMPLINGS else "4:4:4"
        return {"qtables": _tables(metadata.quantisation), "subsampling": chosen, "optimize": True}
    if name == "WEBP":
        return {"quality": _WEBP_QUALITY, "method": 4}
    if name == "AVIF":
        return {"quality": _AVIF_QUALITY, "subsampling": "4:4:4", "speed": 8}
    return {"quality": _HEIF_QUALITY, "chroma": 444} if name == "HEIF" else {}


def _tables(source: dict[int, list[int]]) -> list[list[int]]:
    """Quantisation tables, luma and chroma, nowhere coarser than the source's nor than those of `JPEG_QUALITY`."""
    blank = io.BytesIO()
    Image.new("RGB", (8, 8)).save(blank, "JPEG", quality=JPEG_QUALITY)
    least = Image.open(blank).quantization  # type: ignore[attr-defined]
    theirs = [source.get(0), source.get(1, source.get(0))]
    return [[min(pair) for pair in zip(least[place], theirs[place] or least[place], strict=True)] for place in (0, 1)]


def _image(picture: Picture, bits: int) -> Image.Image:
    """In Pillow's hands, with 8 bits a sample."""
    parts = picture.samples if picture.alpha is None else np.dstack([picture.samples, picture.alpha])
    if picture.bits == 16 and bits == 8:
        parts = ((parts.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    return Image.fromarray(parts[:, :, 0] if parts.shape[2] == 1 else np.ascontiguousarray(parts))


def _colored(picture: Picture) -> Any:
    """[rows, columns, 3 or 4]: gray as three equal samples, for what holds no deep gray with alpha."""
    parts = [picture.samples] * (3 if picture.samples.shape[2] == 1 else 1)
    return np.dstack(parts if picture.alpha is None else [*parts, picture.alpha])


def _encoded(image: Image.Image, name: str, options: dict[str, Any]) -> bytes:
    target = io.BytesIO()
    image.save(target, name, **options)
    return target.getvalue()


def _png(picture: Picture, options: dict[str, Any]) -> bytes:
    """Metadata in front as Pillow writes it, samples as OpenCV does, which holds 16 bits; gray with alpha by Pillow."""
    xmp = options.pop("xmp", None)
    if xmp:
        texts = PngImagePlugin.PngInfo()
        texts.add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
        options["pnginfo"] = texts
    is_gray = picture.samples.shape[2] == 1
    if is_gray and picture.alpha is not None and picture.bits == 8:
        return _encoded(_image(picture, 8), "PNG", options)
    is_plain = is_gray and picture.alpha is None
    parts = picture.samples[:, :, 0] if is_plain else _colored(picture)
    if not is_plain:
        parts = parts[:, :, [2, 1, 0, 3][: parts.shape[2]]]
    _, data = cv2.imencode(".png", np.ascontiguousarray(parts), [cv2.IMWRITE_PNG_COMPRESSION, 3])
    blank = _encoded(Image.new("L" if is_plain else "RGB", (1, 1)), "PNG", options)
    return _with_chunks(data.tobytes(), b"".join(whole for kind, whole in _chunks(blank) if kind not in _STRUCTURAL))


def _chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 8
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        found.append((png[at + 4 : at + 8], png[at : at + 12 + length]))
        at += 12 + length
    return found


def _with_chunks(png: bytes, chunks: bytes) -> bytes:
    """A PNG with chunks put in behind its header, where all readers look for them."""
    after_header = 8 + 12 + 13
    return png[:after_header] + chunks + png[after_header:]


def _tiff_parts(picture: Picture) -> Any:
    """[rows, columns, channels]; gray with alpha of 16 bits in RGB, which more readers take."""
    if picture.alpha is None:
        return picture.samples
    return _colored(picture) if picture.bits == 16 else np.dstack([picture.samples, picture.alpha])


def _deep_heif(picture: Picture, options: dict[str, Any]) -> bytes:
    """With 10 bits a sample, as libheif's encoder takes from 16."""
    import pillow_heif

    parts = _colored(picture)
    mode = "RGBA;16" if parts.shape[2] == 4 else "RGB;16"
    made = pillow_heif.from_bytes(mode=mode, size=parts.shape[1::-1], data=np.ascontiguousarray(parts).tobytes())
    target = io.BytesIO()
    made.save(target, quality=_HEIF_QUALITY, chroma=444, **{k: v for k, v in options.items() if k != "dpi"})
    return target.getvalue()
