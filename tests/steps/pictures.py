"""Small pictures for whole jobs, made and read by Debian's FFmpeg."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

SIZE = (96, 64)


def ffmpeg(*arguments: str | Path) -> bytes:
    command = ["ffmpeg", "-v", "error", "-y", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True).stdout


def source(path: Path, *encoder: str, picture: str = "mandelbrot") -> Path:
    """Ten frames made by Debian's FFmpeg."""
    lavfi = f"{picture}=s={SIZE[0]}x{SIZE[1]}:r=25"
    ffmpeg("-f", "lavfi", "-i", lavfi, "-frames:v", "10", *encoder, path)
    return path


def probed(path: Path) -> dict[str, Any]:
    fields = "stream=codec_name,pix_fmt,width,height,color_range,color_space,nb_read_frames"
    command = ["ffprobe", "-v", "error", "-count_frames", "-select_streams", "v:0", "-show_entries", fields]
    found = subprocess.run([*command, "-of", "json", str(path)], check=True, capture_output=True).stdout
    stream: dict[str, Any] = json.loads(found)["streams"][0]
    return stream


def rgb(path: Path, width: int, height: int, layout: str = "rgb24", decoder: Sequence[str] = ()) -> np.ndarray:
    """All frames [n, rows, columns, channels] as Debian's FFmpeg shows them."""
    filters = f"scale={width}:{height}:flags=bicubic+accurate_rnd+full_chroma_int"
    data = ffmpeg(*decoder, "-i", path, "-vf", filters, "-f", "rawvideo", "-pix_fmt", layout, "-")
    return np.frombuffer(data, np.uint8).reshape(-1, height, width, len(data) and (4 if layout == "rgba" else 3))
