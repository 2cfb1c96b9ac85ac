"""Cutting at keyframes, for any sequence of frames."""

from hypothesis import given
from hypothesis import strategies as st

from sr_tasks.demux.scan import FramePoint
from sr_tasks.media.chunks import cut

frames = st.lists(st.tuples(st.integers(1, 5000), st.booleans()), min_size=1, max_size=200)


@given(frames, st.integers(1, 60), st.integers(-10_000, 10_000))
def test_every_frame_is_in_exactly_one_chunk_and_cuts_lie_on_keyframes(
    steps: list[tuple[int, bool]], target: int, start: int
) -> None:
    points = []
    pts = start
    for step, is_keyframe in steps:
        pts += step
        points.append(FramePoint(pts=pts, duration=step, is_keyframe=is_keyframe))
    chunks = list(cut(iter(points), target))
    held = [[p.pts for p in points if c.start_pts <= p.pts < c.end_pts] for c in chunks]
    assert [pts for chunk in held for pts in chunk] == [p.pts for p in points]
    assert [len(pts) for pts in held] == [c.frames for c in chunks]
    keyframes = {p.pts for p in points if p.is_keyframe}
    assert all(c.start_pts in keyframes for c in chunks[1:])
    assert all(c.frames >= target for c in chunks[:-1])
    for chunk in chunks[1:]:
        earlier = sorted(k for k in keyframes if k < chunk.start_pts)
        assert chunk.seek_pts == (earlier[-1] if earlier else None)
