"""What becomes of everything that a picture file holds, in rows that the report shows."""

from sr_tasks.errors import ContainerMismatch, InputTooLarge, InputUnsupported
from sr_tasks.jobs.form import Strip
from sr_tasks.records.media import StreamPlan
from sr_tasks.records.pictures import PICTURE_FORMATS, WRITTEN_SUFFIXES, PictureFacts, PictureFormat
from sr_tasks.records.sizes import Size


def target_format(name: str, facts: PictureFacts, suffix: str, size: Size) -> PictureFormat:
    """The format that a suffix means. Raises ContainerMismatch for a suffix of no picture that can be
    written, InputUnsupported where alpha would be lost, and InputTooLarge where a side of the
    output's `size` is past the limit of the format."""
    target = WRITTEN_SUFFIXES.get(suffix)
    if target is None:
        raise ContainerMismatch(
            f"{name} is a still picture ({facts.format}), and the output ends in {suffix or 'no suffix'!r}.",
            hint=f"Name an output that ends in one of {', '.join(WRITTEN_SUFFIXES)}.",
        )
    if facts.has_alpha and not PICTURE_FORMATS[target].has_alpha:
        raise InputUnsupported(
            f"{name} has alpha, which {target} does not hold.", hint="Name an output that ends in .png."
        )
    (width, height), most = size, PICTURE_FORMATS[target].max_side_px
    if max(width, height) > most:
        raise InputTooLarge(
            f"The output would be {width}x{height}; {target} holds at most {most} px a side.",
            hint="Name an output that ends in .png or .tif.",
        )
    return target


def planned(facts: PictureFacts, target: PictureFormat, strip: Strip) -> tuple[StreamPlan, ...]:
    """A row for the picture itself, one for each change of its samples, one for each kind of metadata."""
    row = PICTURE_FORMATS[target]
    rows = [_row("picture", facts.format, "enhanced", reason=f"written as {target}", index=0)]
    for note in facts.notes:
        fate = "converted" if "become" in note else "dropped"
        rows.append(_row("picture", facts.format, fate, reason=note))
    if facts.bit_depth > row.max_bits:
        reason = f"{target} holds {row.max_bits} bits a sample here"
        rows.append(_row("depth", f"{facts.bit_depth} bits", "converted", reason=reason))
    metadata = {
        "ICC profile": facts.has_icc,
        "EXIF": facts.has_exif,
        "XMP": facts.has_xmp,
        "resolution": facts.dpi is not None,
    }
    for kind, is_there in metadata.items():
        if is_there:
            size = {"EXIF": facts.exif_bytes, "XMP": facts.xmp_bytes}.get(kind, 0)
            rows.append(_metadata_row(kind, size, target, strip))
    return tuple(rows)


def _metadata_row(kind: str, size: int, target: PictureFormat, strip: Strip) -> StreamPlan:
    if kind not in PICTURE_FORMATS[target].holds:
        return _row(kind, kind, "dropped", reason=f"{target} is written without it")
    if size > PICTURE_FORMATS[target].max_block_bytes:
        return _row(
            kind, kind, "dropped", reason=f"{target} holds {PICTURE_FORMATS[target].max_block_bytes} bytes of it"
        )
    if strip != "nothing" and (kind == "XMP" or (kind == "EXIF" and strip == "all")):
        return _row(kind, kind, "dropped", reason=f"strip {strip} was asked for")
    if strip != "nothing" and kind == "EXIF":
        return _row(kind, kind, "kept", reason=f"without what strip {strip} names")
    return _row(kind, kind, "kept")


def _row(kind: str, codec: str, fate: str, *, reason: str = "", index: int | None = None) -> StreamPlan:
    return StreamPlan.model_validate(
        {
            "source_index": index,
            "output_index": index,
            "type": kind,
            "codec": codec,
            "language": "",
            "fate": fate,
            "target": "picture" if fate == "converted" else "",
            "reason": reason,
        }
    )
