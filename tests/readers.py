"""Readers and writers of media that share no code with the product: ffmpeg, mkvmerge and exiftool of Debian."""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

PICTURE = ("-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=2")
SOUND = ("-f", "lavfi", "-i", "aevalsrc=0.3*sin(440*2*PI*t*(1+t/4))|0.2*sin(330*2*PI*t):d=2:s=48000")
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-pix_fmt", "yuv420p")


def run(*command: object) -> bytes:
    """What a program prints. Fails with its complaint if it fails."""
    done = subprocess.run([str(word) for word in command], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def ffmpeg(path: Path, *arguments: object) -> Path:
    """A file made by ffmpeg: inputs and options as on its command line."""
    run("ffmpeg", "-v", "error", "-nostdin", "-y", *arguments, path)
    return path


def recording(path: Path, *options: object) -> Path:
    """Two seconds of picture and sound, H.264 unless the options say otherwise."""
    return ffmpeg(path, *PICTURE, *SOUND, *H264, *options)


def streams(path: Path) -> list[dict[str, Any]]:
    """What ffprobe says of each stream."""
    found: list[dict[str, Any]] = json.loads(run("ffprobe", "-v", "error", "-show_streams", "-of", "json", path))[
        "streams"
    ]
    return found


def exif(path: Path) -> dict[str, Any]:
    """What exiftool says of a file."""
    found: dict[str, Any] = json.loads(run("exiftool", "-json", path))[0]
    return found


def samples(path: Path, stream: str = "0:a:0") -> str:
    """A hash of the decoded sound of a stream."""
    return hashlib.sha256(run("ffmpeg", "-v", "error", "-i", path, "-map", stream, "-f", "s32le", "-")).hexdigest()


def srt(path: Path) -> str:
    """The first subtitles of a file, as ffmpeg writes them as SRT."""
    return (
        run("ffmpeg", "-v", "error", "-i", path, "-map", "0:s:0", "-f", "srt", "-").decode().replace("\r", "").strip()
    )


def tracks(path: Path) -> dict[str, Any]:
    """What mkvmerge says of a file."""
    found: dict[str, Any] = json.loads(run("mkvmerge", "-J", path))
    return found
