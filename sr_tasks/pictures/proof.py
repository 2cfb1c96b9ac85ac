"""Proves that an output picture holds what its source held, beside the samples that a network made."""

import numpy as np

from sr_tasks.pictures.reading import Metadata, Picture
from sr_tasks.pictures.samples import alike
from sr_tasks.pictures.writing import prepared
from sr_tasks.planes.alpha import enlarged
from sr_tasks.records.assessment import Finding, IntegrityReport
from sr_tasks.records.pictures import PICTURE_FORMATS, PictureFacts, PictureTarget
from sr_tasks.records.sizes import Size

_ALPHA_OFF = 2.0
"""Mean departure of alpha in 8-bit codes from where a codec with losses must have damaged it."""
_DPI_OFF = 0.02
"""Files hold whole px per metre or fractions."""


def prove(
    source: PictureFacts, before: Picture, output: PictureFacts, after: Picture, target: PictureTarget, size: Size
) -> IntegrityReport:
    """The findings on an output picture that was read back. `size`: what it was to have."""
    row = PICTURE_FORMATS[target.format]
    wanted = prepared(before.metadata, target.strip, output.width, output.height, row.max_block_bytes)
    findings = [_size(source, output, size), _format(output, target), _depth(source, output, target)]
    findings += [_orientation(output), *_metadata(wanted, after.metadata, target)]
    if source.has_alpha or output.has_alpha:
        findings.append(_alpha(before, after))
    return IntegrityReport(ok=all(finding.ok for finding in findings), findings=tuple(findings))


def _size(source: PictureFacts, output: PictureFacts, size: Size) -> Finding:
    ok = (output.width, output.height) == size
    times = f"{output.width / source.width:.4g} times the source's"
    return Finding(check="Size", ok=ok, detail=f"{output.width}x{output.height}, {times}")


def _format(output: PictureFacts, target: PictureTarget) -> Finding:
    return Finding(check="Format", ok=output.format == target.format, detail=output.format)


def _depth(source: PictureFacts, output: PictureFacts, target: PictureTarget) -> Finding:
    wanted = min(source.working_bits, PICTURE_FORMATS[target.format].max_bits)
    ok = output.bit_depth >= min(wanted, 10) and not (wanted == 16 and output.bit_depth < 16)
    return Finding(check="Depth", ok=ok, detail=f"{output.bit_depth} bits a sample, the source has {source.bit_depth}")


def _orientation(output: PictureFacts) -> Finding:
    return Finding(
        check="Orientation", ok=output.orientation == 1, detail="upright" if output.orientation == 1 else "turned"
    )


def _alpha(before: Picture, after: Picture) -> Finding:
    found = alike(after, before).alpha
    if before.alpha is None or found is None:
        return Finding(check="Alpha", ok=False, detail="source and output do not both have alpha")
    is_as_large = found.shape == before.alpha.shape
    wanted = before.alpha if is_as_large else enlarged(before.alpha, found.shape, before.bits)
    codes = float(np.mean(np.abs(found.astype(np.float32) - wanted.astype(np.float32))))
    off = codes / (257 if before.bits == 16 else 1)
    return Finding(check="Alpha", ok=off <= _ALPHA_OFF, detail=f"off by {off:.2f} of 255 codes on average")


def _metadata(wanted: Metadata, found: Metadata, target: PictureTarget) -> list[Finding]:
    holds = PICTURE_FORMATS[target.format].holds
    findings = []
    if wanted.icc and "ICC profile" in holds:
        ok = found.icc == wanted.icc
        findings.append(Finding(check="ICC profile", ok=ok, detail="the same bytes" if ok else "another profile"))
    if wanted.exif and "EXIF" in holds:
        findings.append(Finding(check="EXIF", ok=bool(found.exif), detail="there" if found.exif else "missing"))
    if wanted.xmp and "XMP" in holds:
        ok = found.xmp.strip(b"\0 \n") == wanted.xmp.strip(b"\0 \n")
        findings.append(Finding(check="XMP", ok=ok, detail="the same packet" if ok else "another packet"))
    if wanted.dpi and "resolution" in holds:
        pairs = zip(wanted.dpi, found.dpi or (0.0, 0.0), strict=True)
        ok = all(abs(one - other) <= _DPI_OFF * max(one, 1) for one, other in pairs)
        findings.append(Finding(check="Resolution", ok=ok, detail=f"{wanted.dpi[0]:.0f}x{wanted.dpi[1]:.0f} dpi"))
    return findings
