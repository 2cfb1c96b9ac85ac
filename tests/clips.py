"""Generated clips for tests: any codec, container, pixel format and timing. Nothing is stored in the repository."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from sr_tasks.media.sample import draw


@dataclass(kw_only=True)
class Clip:
    """What to generate. `pts` are in `time_base` units; by default frames follow each other at `rate`."""

    frames: int = 24
    width: int = 160
    height: int = 96
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    rate: Fraction = Fraction(25)
    time_base: Fraction | None = None
    pts: Sequence[int] | None = None
    options: dict[str, str] = field(default_factory=dict)
    color_range: int = 1
    colorspace: int = 1
    color_primaries: int = 1
    color_trc: int = 1
    sample_aspect_ratio: Fraction = Fraction(1)
    rotation: int = 0
    sound: str = ""
    sound_start_s: float = 0.0
    subtitles: bool = False
    chapters: bool = False
    attachment: bool = False
    metadata: dict[str, str] = field(default_factory=dict)
    noise: float = 0.0
    container_options: dict[str, str] = field(default_factory=dict)
    bframes: bool = True


def make(path: Path, clip: Clip | None = None, **changes: Any) -> Path:
    """Write the clip; the container follows the suffix of `path`."""
    clip = clip or Clip(**changes)
    tick = clip.time_base or 1 / clip.rate
    with av.open(str(path), "w", options=clip.container_options) as out:
        out.metadata.update(clip.metadata)
        stream = out.add_stream(clip.codec, rate=clip.rate, options=dict(clip.options))
        stream.width, stream.height, stream.pix_fmt = clip.width, clip.height, clip.pix_fmt
        context = stream.codec_context
        context.time_base = stream.time_base = tick
        context.thread_count = 1
        context.color_range, context.colorspace = clip.color_range, clip.colorspace
        context.color_primaries, context.color_trc = clip.color_primaries, clip.color_trc
        context.sample_aspect_ratio = clip.sample_aspect_ratio
        if clip.rotation:
            stream.set_display_rotation(clip.rotation)
        sound = _sound_stream(out, clip)
        if clip.attachment:
            out.add_attachment("font.ttf", "application/x-truetype-font", bytes(range(256)) * 4)
        if clip.chapters:
            half = round(clip.frames / float(clip.rate) * 500)
            base = Fraction(1, 1000)
            out.set_chapters(
                [
                    {"id": 1, "start": 0, "end": half, "time_base": base, "metadata": {"title": "one"}},
                    {"id": 2, "start": half, "end": 2 * half, "time_base": base, "metadata": {"title": "two"}},
                ]
            )
        step = round(1 / clip.rate / tick)
        for number in range(clip.frames):
            frame = picture(number, clip)
            frame.pts = clip.pts[number] if clip.pts is not None else number * step
            frame.time_base = tick
            frame.color_range, frame.colorspace = clip.color_range, clip.colorspace
            frame.color_primaries, frame.color_trc = clip.color_primaries, clip.color_trc
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if sound is not None:
            _write_sound(out, sound, clip)
    return path


def picture(number: int, clip: Clip) -> av.VideoFrame:
    """Frame `number`, drawn, with its colours converted by the clip's own matrix and range."""
    bgr = draw(number * 3, clip.width, clip.height)
    if clip.noise:
        rng = np.random.default_rng(number)
        bgr = np.clip(bgr + rng.normal(0, clip.noise, bgr.shape), 0, 255).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(bgr), format="bgr24")
    matrix = clip.colorspace if clip.colorspace in (1, 5, 6, 9) else 1
    return frame.reformat(format=clip.pix_fmt, dst_colorspace=matrix, dst_color_range=clip.color_range or 1)


def pts_of(path: Path) -> list[Fraction]:
    """Presentation times in seconds of the decoded picture, as another reader than the product's sees them."""
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def wipe_packet(path: Path, number: int, *, kept: float = 0.0) -> None:
    """Zero the payload of one packet in the order of the file, but for its beginning: the share `kept`."""
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        offset, size = packets[number].pos, packets[number].size
    data = bytearray(path.read_bytes())
    first = offset + int(size * kept)
    data[first : offset + size] = bytes(offset + size - first)
    path.write_bytes(data)


def luma(path: Path, number: int) -> np.ndarray:
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index == number:
                return frame.to_ndarray()[: frame.height].copy()
    raise LookupError(number)


def photographs(size: int = 256) -> list[np.ndarray]:
    """Natural pictures as uint8 BGR, shrunk so that they are sharp."""
    import skimage.data

    names = ("astronaut", "chelsea", "coffee")
    pictures = [getattr(skimage.data, name)()[:, :, ::-1] for name in names]
    return [
        cv2.resize(np.ascontiguousarray(p[:300, :400]), (size, size * 3 // 4), interpolation=cv2.INTER_AREA)
        for p in pictures
    ]


def _sound_stream(out: Any, clip: Clip) -> Any:
    if not clip.sound:
        return None
    stream = out.add_stream(clip.sound, rate=48_000)
    if not stream.codec_context.format.name.startswith(("flt", "s16")):
        stream.codec_context.format = "s16p"
    stream.metadata["language"] = "deu"
    return stream


def _write_sound(out: Any, stream: Any, clip: Clip) -> None:
    size = stream.codec_context.frame_size or 1024
    total = round(clip.frames / float(clip.rate) * 48_000 / size)
    start = round(clip.sound_start_s * 48_000)
    planar = stream.codec_context.format.is_planar
    for block in range(total):
        t = (np.arange(size) + block * size) / 48_000
        wave = np.stack([0.2 * np.sin(2 * np.pi * 330 * t), 0.2 * np.sin(2 * np.pi * 440 * t)]).astype(np.float32)
        name = stream.codec_context.format.name
        data = wave if name.startswith("flt") else (wave * 32000).astype(np.int16)
        data = data if planar else data.T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(data), format=name, layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, start + block * size, Fraction(1, 48_000)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))
