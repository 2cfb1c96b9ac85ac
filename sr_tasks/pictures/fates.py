"""What becomes of everything that a picture file holds, in rows that the report shows."""

from sr_tasks.errors import InputUnsupported, UsageError
from sr_tasks.jobs.spec import Strip
from sr_tasks.records.media import StreamPlan
from sr_tasks.records.pictures import PICTURE_FORMATS, WRITTEN_SUFFIXES, PictureFacts, PictureFormat


def target_format(name: str, facts: PictureFacts, suffix: str) -> PictureFormat:
    """The format that a suffix means. Raises UsageError for a suffix of no picture that can be written, and
    InputUnsupported where alpha would be lost."""
    target = WRITTEN_SUFFIXES.get(suffix)
    if target is None:
        raise UsageError(
            f"{name} is a still picture ({facts.format}), and the output ends in {suffix or 'no suffix'!r}.",
            hint=f"Name an output that ends in one of {', '.join(WRITTEN_SUFFIXES)}.",
        )
    if facts.has_alpha and not PICTURE_FORMATS[target].has_alpha:
        raise InputUnsupported(
            f"{name} has alpha, which {target} does not hold.", hint="Name an output that ends in .png."
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
            rows.append(_metadata_row(kind, target, strip))
    return tuple(rows)


def _metadata_row(kind: str, target: PictureFormat, strip: Strip) -> StreamPlan:
    if kind not in PICTURE_FORMATS[target].holds:
        return _row(kind, kind, "dropped", reason=f"{target} is written without it")
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
