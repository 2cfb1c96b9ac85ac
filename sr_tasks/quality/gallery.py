"""A poster frame and a contact sheet of an output, made as its frames pass by. Keeps small pictures, never frames."""

from typing import Any, Final

import cv2
import numpy as np

from sr_tasks.quality.figures import FrameFigures, Picture
from sr_tasks.quality.frames import Frame
from sr_tasks.quality.pictures import Album, Rgb, gradient, pixel_aspect, to_rgb, turned
from sr_tasks.quality.tallies import Place
from sr_tasks.records.media import VideoInfo
from sr_tasks.telemetry.durations import on_a_clock

CELLS: Final = 16
"""Frames on a contact sheet, of a video that has so many; the poster is one of them."""
COLUMNS: Final = 4
POSTER_PX: Final = 1920
CELL_PX: Final = 320
"""Longer sides of a poster and of a frame on the sheet, at the most."""
_GAP_PX: Final = 8
_TEXT_PX: Final = 16
_DARK, _LIGHT = (24, 24, 24), (220, 220, 220)


class Gallery(Album):
    """An album that makes a poster and a contact sheet too. The frames on the sheet lie evenly in the video; the
    poster is the one with the most detail, so that it is neither black nor a fade."""

    def __init__(self, video: VideoInfo) -> None:
        super().__init__(video)
        cells = max(1, min(CELLS, video.frames))
        self._shown = {(2 * cell + 1) * video.frames // (2 * cells) for cell in range(cells)}
        self._cells: list[tuple[Place, Rgb]] = []
        self._poster: tuple[float, Place, Rgb] | None = None

    def offer(self, place: Place, source: Picture, output: Picture, figures: FrameFigures) -> None:
        """See `Album.offer`."""
        super().offer(place, source, output, figures)
        if place.frame not in self._shown:
            return
        cell = _seen(output.frame, self._video, CELL_PX)
        self._cells.append((place, cell))
        detail = gradient(cell)
        if self._poster is None or detail > self._poster[0]:
            self._poster = detail, place, _seen(output.frame, self._video, POSTER_PX)

    def poster(self) -> tuple[list[int], Rgb]:
        """Number of the frame, and the picture [rows, columns, 3] as players show it."""
        if self._poster is None:
            raise ValueError("no frame was offered")
        return [self._poster[1].frame], self._poster[2]

    def sheet(self) -> tuple[list[int], Rgb]:
        """Numbers of the frames, and the sheet [rows, columns, 3]: each frame with its time below."""
        rows, columns = self._cells[0][1].shape[:2]
        across = min(COLUMNS, len(self._cells))
        down = -(-len(self._cells) // across)
        step = rows + _TEXT_PX + _GAP_PX
        size = (down * step + _GAP_PX, across * (columns + _GAP_PX) + _GAP_PX, 3)
        sheet = np.full(size, _DARK, np.uint8)
        for number, (place, cell) in enumerate(self._cells):
            y, x = _GAP_PX + number // across * step, _GAP_PX + number % across * (columns + _GAP_PX)
            sheet[y : y + rows, x : x + columns] = cell
            at = x, y + rows + _TEXT_PX - 4
            cv2.putText(sheet, on_a_clock(int(place.time_s)), at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, _LIGHT, 1, cv2.LINE_AA)
        return [place.frame for place, _ in self._cells], sheet


def _seen(frame: Frame, video: VideoInfo, longest_px: int) -> Rgb:
    """The frame as players show it, px square and upright, and no side longer than that."""
    rows, columns = frame.planes[0].shape
    wide = columns * pixel_aspect(video)
    factor = min(1.0, longest_px / max(rows, wide))
    size = max(1, round(wide * factor)), max(1, round(rows * factor))
    planes: list[Any] = [cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in frame.planes[:3]]
    small = Frame(pts=frame.pts, planes=tuple(planes), bit_depth=frame.bit_depth)
    return turned(to_rgb(small, video), video.rotation)
