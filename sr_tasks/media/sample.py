"""A short clip of our own to try things on: moving detail, text, gradients and a tone. Drawn frame by frame."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from sr_tasks.errors import ChunkFailed
from sr_tasks.storage.atomic import replacing

_RATE = 25
_SOUND_HZ = 48_000
_SOUND_BLOCK = 1024


def render(path: Path, *, seconds: float = 2.0, width: int = 480, height: int = 270) -> Path:
    """Write an .mp4 (H.264, BT.709, limited range, AAC). Does nothing if the file is there already."""
    if path.exists():
        return path
    with replacing(path) as partial, av.open(str(partial), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=_RATE, options={"crf": "20", "preset": "fast"})
        audio = container.add_stream("aac", rate=_SOUND_HZ)
        if not isinstance(video, VideoStream) or not isinstance(audio, AudioStream):
            raise ChunkFailed("FFmpeg has no H.264 or AAC encoder.")
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        context = video.codec_context
        context.color_range, context.colorspace, context.color_primaries, context.color_trc = 1, 1, 1, 1
        for number in range(round(seconds * _RATE)):
            picture = VideoFrame.from_ndarray(draw(number, width, height), format="bgr24")
            frame = picture.reformat(format="yuv420p", dst_colorspace=1, dst_color_range=1)
            frame.pts, frame.time_base = number, Fraction(1, _RATE)
            container.mux(video.encode(frame))
        for block in range(round(seconds * _SOUND_HZ / _SOUND_BLOCK)):
            container.mux(audio.encode(_tone(block)))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    return path


def draw(number: int, width: int, height: int) -> np.ndarray:
    """Frame `number` as uint8 BGR `[height, width, 3]`, drawn at twice the size and shrunk, so that it is sharp."""
    w, h = width * 2, height * 2
    x, y = np.meshgrid(np.linspace(0, 1, w), np.linspace(0, 1, h))
    picture = np.stack([90 + 110 * x, 60 + 130 * y, 180 - 120 * x * y], axis=-1).astype(np.uint8)
    turn = number * 2.0
    centre = (int(w * 0.27), int(h * 0.55))
    for spoke in range(24):
        angle = np.deg2rad(spoke * 15 + turn)
        tip = (int(centre[0] + np.cos(angle) * h * 0.34), int(centre[1] + np.sin(angle) * h * 0.34))
        cv2.line(picture, centre, tip, (30, 30 + spoke * 8, 220 - spoke * 6), 3, cv2.LINE_AA)
    for ring in range(5):
        at = (int(w * 0.7 + np.sin(number / 12 + ring) * w * 0.05), int(h * 0.62))
        cv2.circle(picture, at, int(h * (0.06 + 0.05 * ring)), (240, 240 - 40 * ring, 60 + 40 * ring), 2, cv2.LINE_AA)
    for line, text in enumerate(("Video Super Resolution", "every frame accounted for", f"frame {number:04d}")):
        size = (1.5, 0.9, 0.7)[line]
        place = (int(w * 0.04 + number * 0.7), int(h * (0.12 + 0.08 * line)))
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_DUPLEX, size * h / 540, (250, 250, 250), 2, cv2.LINE_AA)
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def _tone(block: int) -> AudioFrame:
    """A chord that swells, mono float."""
    t = (np.arange(_SOUND_BLOCK) + block * _SOUND_BLOCK) / _SOUND_HZ
    wave = sum(np.sin(2 * np.pi * hz * t) for hz in (220.0, 277.2, 329.6)) * 0.1 * (0.6 + 0.4 * np.sin(2 * np.pi * t))
    sound = AudioFrame.from_ndarray(
        np.repeat(wave.astype(np.float32)[None, :], 2, axis=0), format="fltp", layout="stereo"
    )
    sound.sample_rate, sound.pts, sound.time_base = _SOUND_HZ, block * _SOUND_BLOCK, Fraction(1, _SOUND_HZ)
    return sound
