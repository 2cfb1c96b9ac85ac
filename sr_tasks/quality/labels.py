"""Labels: proves that streams are still called what they were, and that no chapter is lost. Opens nothing.

What a container cannot hold is named and forgiven: it is no fault of the output, and another container would keep it.
"""

from collections.abc import Sequence

from av.stream import Disposition

from sr_tasks.records.assessment import Finding
from sr_tasks.records.media import MediaInfo, StreamInfo, StreamPlan
from sr_tasks.streams import languages

_MARKS = {
    "default": Disposition.default,
    "original": Disposition.original,
    "comment": Disposition.comment,
    "forced": Disposition.forced,
    "hearing impaired": Disposition.hearing_impaired,
    "visual impaired": Disposition.visual_impaired,
}
"""The dispositions that Matroska has flags for; MP4 and MOV have the first alone, with a meaning of its own."""


def check(source: MediaInfo, output: MediaInfo, fates: Sequence[StreamPlan]) -> list[Finding]:
    """Languages, dispositions and the number of chapters, of the streams that are in both files."""
    before = {stream.index: stream for stream in source.streams}
    after = {stream.index: stream for stream in output.streams}
    pairs = [
        (before[fate.source_index], after[fate.output_index])
        for fate in fates
        if (fate.fate in ("enhanced", "kept") or fate.target)
        and fate.source_index in before
        and fate.output_index in after
    ]
    muxer = _muxer(output)
    findings = [_languages(pairs, muxer), _chapters(source.chapters, output.chapters)]
    if muxer == "matroska":
        findings.append(_marks(pairs))
    return findings


def _muxer(info: MediaInfo) -> str:
    """What wrote the file; MP4 and MOV have one demuxer, and tell themselves apart by their brand."""
    if "matroska" in info.format:
        return "matroska"
    return "mov" if info.metadata.get("major_brand", "").strip() == "qt" else "mp4"


def _languages(pairs: Sequence[tuple[StreamInfo, StreamInfo]], muxer: str) -> Finding:
    """A language that the container has no code for may be gone, and no other may."""
    changed: list[str] = []
    left_out: list[str] = []
    for source, output in pairs:
        if not languages.is_same(source.language, output.language):
            is_impossible = not output.language and not languages.held(source.language, muxer)
            said = f"#{source.index} {source.language or 'none'} became {output.language or 'none'}"
            (left_out if is_impossible else changed).append(said)
    detail = ", ".join(changed) or "as in the source"
    if left_out:
        detail += f"; this container has no code for them: {', '.join(left_out)}"
    return Finding(check="Languages", ok=not changed, detail=detail)


def _chapters(source: int, output: int) -> Finding:
    detail = f"{output}" if source == output else f"{output}, source {source}"
    return Finding(check="Chapters", ok=source == output, detail=detail)


def _marks(pairs: Sequence[tuple[StreamInfo, StreamInfo]]) -> Finding:
    """Of sound and subtitles, among which players choose by them."""
    changed = [
        f"#{source.index} {'lost' if source.disposition & bit else 'gained'} {name!r}"
        for source, output in pairs
        for name, bit in _MARKS.items()
        if source.type != "video" and (source.disposition ^ output.disposition) & bit
    ]
    return Finding(check="Dispositions", ok=not changed, detail=", ".join(changed) or "as in the source")
