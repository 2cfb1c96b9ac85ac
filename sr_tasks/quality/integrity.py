"""Integrity: proves that an output holds all its source holds beside the picture. Decodes converted streams alone.

The pictures themselves were decoded to their end by the assessment, whose findings come in as `decode` and `timing`.
"""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from sr_tasks.quality import converted, labels
from sr_tasks.quality.streams import StreamPrint, fingerprints
from sr_tasks.records import colour
from sr_tasks.records.assessment import DecodeFacts, Finding, IntegrityReport, Timing
from sr_tasks.records.media import MediaInfo, StreamPlan, VideoInfo
from sr_tasks.records.sizes import Size


def check(
    source: Path,
    output: Path,
    source_info: MediaInfo,
    output_info: MediaInfo,
    *,
    size: Size,
    fates: Sequence[StreamPlan],
    decode: DecodeFacts,
    timing: Timing,
) -> IntegrityReport:
    """Compare everything but the look of the picture. `fates` says what was to become of each stream of the source.

    Raises InputRefused errors if a file cannot be opened.
    """
    kept = [
        (fate, fate.source_index, fate.output_index)
        for fate in fates
        if fate.fate == "kept" and fate.source_index is not None and fate.output_index is not None
    ]
    before = fingerprints(source, {index for _, index, _ in kept}, source_info)
    after = fingerprints(output, {index for _, _, index in kept}, output_info)
    tolerance = _tolerance(source_info.video, output_info.video)
    findings = [
        _size(output_info.video, size),
        _frames(source_info.video, decode),
        _decodes(decode),
        _time_stamps(timing, tolerance),
        _duration(source_info.video, output_info.video, timing, tolerance),
        _stream_list(output_info, {fate.output_index for fate in fates if fate.output_index is not None}),
    ]
    offset = Fraction(timing.offset_s)
    for fate, source_index, output_index in kept:
        findings += _kept(fate, before.get(source_index), after.get(output_index), offset)
    for fate in fates:
        if fate.fate == "converted" and fate.target:
            findings += converted.check(source_info, source, output, fate, _name(fate), offset)
    findings += _tags(source_info.video, output_info.video)
    findings += labels.check(source_info, output_info, fates)
    return IntegrityReport(ok=all(finding.ok for finding in findings), findings=tuple(findings))


def _tolerance(source: VideoInfo, output: VideoInfo) -> Fraction:
    """How far a time stamp may be off: not at all where the output's ticks hold the source's, else by rounding: half a
    tick at the frame itself and half a tick at the first one, from which the offset is taken."""
    return Fraction(0) if (source.tick / output.tick).denominator == 1 else output.tick


def _size(output: VideoInfo, size: Size) -> Finding:
    wanted = f"{size[0]}x{size[1]}"
    actual = f"{output.width}x{output.height}"
    return Finding(
        check="Frame size", ok=actual == wanted, detail=actual if actual == wanted else f"{actual}, not {wanted}"
    )


def _frames(source: VideoInfo, decode: DecodeFacts) -> Finding:
    counts = {source.frames, decode.source_frames, decode.output_frames}
    detail = f"{decode.output_frames} in the output, {source.frames} in the source"
    if decode.source_frames != source.frames:
        detail += f" ({decode.source_frames} of them can be decoded)"
    if decode.damaged_frames:
        detail += f"; {decode.damaged_frames} damaged in the source"
    return Finding(check="Frames", ok=len(counts) == 1, detail=detail)


def _decodes(decode: DecodeFacts) -> Finding:
    ok = decode.output_errors == 0 and decode.output_corrupt_frames == 0
    detail = f"all {decode.output_frames} frames, without errors"
    if not ok:
        detail = f"{decode.output_errors} errors, {decode.output_corrupt_frames} corrupt frames"
        if decode.output_error_texts:
            detail += f" ({'; '.join(decode.output_error_texts)})"
    return Finding(check="Output decodes to its end", ok=ok, detail=detail)


def _time_stamps(timing: Timing, tolerance: Fraction) -> Finding:
    deviation = Fraction(timing.deviation_s)
    ok = deviation <= tolerance
    if deviation == 0:
        detail = "every one equal"
    elif ok:
        detail = f"every one equal to within the rounding of the container's ticks ({_ms(deviation)})"
    else:
        detail = f"frame {timing.deviation_frame} is off by {_ms(deviation)}"
    offset = Fraction(timing.offset_s)
    if offset:
        detail += f"; all streams start {_ms(abs(offset))} {'later' if offset > 0 else 'earlier'} in this container"
    return Finding(check="Time stamps", ok=ok, detail=detail)


def _duration(source: VideoInfo, output: VideoInfo, timing: Timing, tolerance: Fraction) -> Finding:
    """To within one frame: some containers do not store how long the last frame is shown."""
    end = source.end_pts * source.tick + Fraction(timing.offset_s)
    frame = Fraction(source.end_pts - source.start_pts, max(1, source.frames)) * source.tick
    return Finding(
        check="Duration",
        ok=abs(output.end_pts * output.tick - end) <= max(tolerance, frame),
        detail=f"{output.duration_s:.3f} s, source {source.duration_s:.3f} s",
    )


def _stream_list(output: MediaInfo, wanted: set[int]) -> Finding:
    actual = {stream.index for stream in output.streams}
    parts = [f"{len(actual)} streams, as planned"] if wanted == actual else []
    if wanted - actual:
        parts.append(f"missing: {sorted(wanted - actual)}")
    if actual - wanted:
        parts.append(f"not planned: {sorted(actual - wanted)}")
    return Finding(check="Streams", ok=wanted == actual, detail="; ".join(parts))


_ASPECT_TOLERANCE = Fraction(4, 1000)
"""FFmpeg reads the aspect of Matroska with numbers up to 255; it takes what is nearer than this for the same."""
_EDIT_TICK = Fraction(1, 1000)
"""MP4 and MOV say in milliseconds where a stream begins."""


def _name(fate: StreamPlan) -> str:
    return f"{fate.type.capitalize()} #{fate.source_index} ({' '.join(filter(None, (fate.codec, fate.language)))})"


def _kept(fate: StreamPlan, before: StreamPrint | None, after: StreamPrint | None, offset: Fraction) -> list[Finding]:
    name = _name(fate)
    if before is None or after is None:
        return [
            Finding(check=f"{name}: there", ok=False, detail="not found in the " + ("output" if before else "source"))
        ]
    ok = before.holds_the_same_as(after)
    detail = f"all {after.packets} packets byte-identical"
    if not ok:
        detail = f"packets differ ({after.packets} packets, source {before.packets})"
    return [Finding(check=f"{name}: content", ok=ok, detail=detail), *_start(name, before, after, offset)]


def _start(name: str, before: StreamPrint, after: StreamPrint, offset: Fraction) -> list[Finding]:
    """First and last packet against the picture: both files must have moved the stream as they moved the picture."""
    if before.start is None or after.start is None or before.end is None or after.end is None:
        return []
    rounding = before.tick + after.tick + _EDIT_TICK
    at_start = after.start - before.start - offset
    at_end = after.end - before.end - offset
    worst = max(at_start, at_end, key=abs)
    ok = abs(worst) <= rounding
    detail = "as in the source" if ok else f"moved by {_ms(worst)} against the picture"
    return [Finding(check=f"{name}: in step with the picture", ok=ok, detail=detail)]


def _tags(source: VideoInfo, output: VideoInfo) -> list[Finding]:
    rotation = source.rotation % 360, output.rotation % 360
    return [
        _colour_tags(source, output),
        Finding(
            check="Pixel aspect ratio",
            ok=abs(colour.aspect_of(output) / colour.aspect_of(source) - 1) <= _ASPECT_TOLERANCE,
            detail=f"{output.sample_aspect_ratio}, source {source.sample_aspect_ratio}",
        ),
        Finding(
            check="Rotation",
            ok=rotation[0] == rotation[1],
            detail=f"{output.rotation} degrees, source {source.rotation}",
        ),
    ]


def _colour_tags(source: VideoInfo, output: VideoInfo) -> Finding:
    """A tag that says nothing is the same as the value it stands for."""
    is_same = {
        "color_range": colour.range_of(source) == colour.range_of(output),
        "color_primaries": colour.tag_of(source.color_primaries) == colour.tag_of(output.color_primaries),
        "color_trc": colour.tag_of(source.color_trc) == colour.tag_of(output.color_trc),
        "colorspace": _is_same_matrix(source, output),
    }
    changed = [
        f"{name} {getattr(source, name)} became {getattr(output, name)}" for name, same in is_same.items() if not same
    ]
    detail = ", ".join(changed) or "as in the source"
    if not changed and not colour.names_matrix(output) and colour.matrix_of(source) != colour.matrix_of(output):
        detail += (
            f"; the source names no matrix, and players take BT.601 for its {source.height} lines, but BT.709 for "
            f"{output.height}"
        )
    return Finding(check="Colour tags", ok=not changed, detail=detail)


def _is_same_matrix(source: VideoInfo, output: VideoInfo) -> bool:
    """The output's pictures have the source's matrix: a tag must name that one, unless neither names any."""
    if not colour.names_matrix(output):
        return not colour.names_matrix(source)
    return output.colorspace == (source.colorspace if colour.names_matrix(source) else colour.matrix_of(source))


def _ms(value: Fraction) -> str:
    return f"{float(value * 1000):.3g} ms"
