"""The frame loop: everything in order, and never more frames under way than were allowed."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import av
import numpy as np
import pytest

from sr_tasks.errors import ChunkFailed
from sr_tasks.inference.loop import upscale_chunk
from sr_tasks.media.decode import DecodedFrame

FRAMES = 30


class Reader:
    """Gray frames, each with its number in every px."""

    def __init__(self) -> None:
        self.damaged_pts: list[int] = []
        self.read = 0

    def frames(self) -> Iterator[DecodedFrame]:
        for number in range(FRAMES):
            self.read += 1
            frame = av.VideoFrame.from_ndarray(np.full((16, 16), number, np.uint8), format="gray")
            yield DecodedFrame(pts=number, frame=frame, is_repeat=False)


class Writer:
    """Takes its time. Notes what it was given, and how many frames were under way."""

    def __init__(self, reader: Reader) -> None:
        self.reader, self.given, self.made = reader, 0, 0
        self.numbers: list[tuple[int, int]] = []
        self.under_way = self.read_ahead = 0
        self.is_closed = self.is_aborted = False
        self._lock = threading.Lock()

    def new_frame(self) -> av.VideoFrame:
        with self._lock:
            self.made += 1
            self.under_way = max(self.under_way, self.made - self.given)
        return av.VideoFrame(16, 16, "gray")

    def write(self, frame: av.VideoFrame, pts: int, captions: bytes = b"") -> None:
        time.sleep(0.003)
        with self._lock:
            self.read_ahead = max(self.read_ahead, self.reader.read - self.given)
            self.given += 1
        self.numbers.append((pts, int(frame.to_ndarray()[0, 0])))

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_aborted = True


class Session:
    """Adds a hundred, after a time of its own for each frame."""

    def __init__(self, fails_at: int = -1) -> None:
        self._fails_at = fails_at

    def infer(self, window: Any, out: Any) -> Any:
        (planes,) = window
        time.sleep(0.001 * (int(planes[0][0, 0]) % 3))
        if planes[0][0, 0] == self._fails_at:
            raise ChunkFailed("broken off")
        out[0][:] = planes[0] + 100
        return out


def run(writer: Writer, session: Session, **options: Any) -> Any:
    return upscale_chunk(writer.reader, session, writer, on_frame=lambda done: None, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("streams", "in_flight"), [(1, 2), (2, 2), (4, 2), (3, None), (2, 5)])
def test_frames_keep_their_order_and_no_more_are_under_way_than_allowed(streams: int, in_flight: int | None) -> None:
    writer = Writer(Reader())
    report = run(writer, Session(), streams=streams, in_flight=in_flight)
    assert writer.numbers == [(number, number + 100) for number in range(FRAMES)]
    assert (report.frames, writer.is_closed, writer.is_aborted) == (FRAMES, True, False)
    allowed = in_flight or 3 * streams
    assert writer.under_way <= allowed
    assert writer.read_ahead <= allowed + min(4, allowed) + 2, "those decoded, and one in the decoder's hands"


def test_a_failure_reaches_the_caller_and_leaves_no_finished_file() -> None:
    writer = Writer(Reader())
    with pytest.raises(ChunkFailed, match="broken off"):
        run(writer, Session(fails_at=7), streams=2, in_flight=4)
    assert (writer.is_closed, writer.is_aborted) == (False, True)
    assert writer.numbers == [(number, number + 100) for number in range(len(writer.numbers))]
    assert len(writer.numbers) <= 7
