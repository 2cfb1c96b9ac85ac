"""Whole small files, one of each kind of container that FFmpeg writes: what mutations begin with."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

FRAMES = 12
_PICTURE = ("-f", "lavfi", "-i", f"testsrc2=size=64x48:rate=25:duration={FRAMES / 25}")
_DV_PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=720x576:rate=25:duration=0.08")
_SOUND = ("-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={FRAMES / 25}")
_H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "6", "-x264-params", "scenecut=0:threads=1")
_SUBTITLES = "1\n00:00:00,000 --> 00:00:00,200\none\n\n2\n00:00:00,200 --> 00:00:00,400\ntwo\n"
_CHAPTERS = (
    ";FFMETADATA1\ntitle=clip\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=200\ntitle=one\n"
    "[CHAPTER]\nTIMEBASE=1/1000\nSTART=200\nEND=480\ntitle=two\n"
)


@dataclass(frozen=True, kw_only=True)
class Seed:
    """How FFmpeg makes one file. `suffix` decides the container; `has_sound` and `has_texts` add such streams."""

    name: str
    suffix: str
    options: tuple[str, ...]
    has_sound: bool = True
    has_texts: bool = False
    is_dv: bool = False

    def make(self, folder: Path) -> Path:
        """Write the file, the same bytes every time; it is 64x48 unless the container has sizes of its own."""
        path = folder / f"{self.name}{self.suffix}"
        command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *(_DV_PICTURE if self.is_dv else _PICTURE)]
        command += _SOUND if self.has_sound else ()
        if self.has_texts:
            (folder / "texts.srt").write_text(_SUBTITLES)
            (folder / "chapters.txt").write_text(_CHAPTERS)
            command += ["-i", str(folder / "texts.srt"), "-i", str(folder / "chapters.txt"), "-map_metadata", "3"]
            command += ["-map", "0", "-map", "1", "-map", "2"]
        command += ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-threads", "1", *self.options, str(path)]
        subprocess.run(command, check=True, timeout=60)
        return path


def _audio(codec: str, *more: str) -> tuple[str, ...]:
    return "-c:a", codec, *more


SEEDS = (
    Seed(name="h264", suffix=".mp4", options=(*_H264, *_audio("aac"))),
    Seed(name="texts", suffix=".mp4", options=(*_H264, *_audio("aac"), "-c:s", "mov_text"), has_texts=True),
    Seed(name="fragments", suffix=".mp4", options=(*_H264, *_audio("aac"), "-movflags", "frag_keyframe+empty_moov")),
    Seed(name="prores", suffix=".mov", options=("-c:v", "prores_ks", *_audio("pcm_s24le"))),
    Seed(name="mjpeg", suffix=".mov", options=("-c:v", "mjpeg", "-timecode", "01:00:00:00", *_audio("pcm_s16be"))),
    Seed(name="texts", suffix=".mkv", options=(*_H264, *_audio("flac"), "-c:s", "srt"), has_texts=True),
    Seed(name="hevc", suffix=".mkv", options=("-c:v", "libx265", "-preset", "ultrafast", "-x265-params",
         "log-level=none:pools=1:frame-threads=1:keyint=6", *_audio("libopus"))),
    Seed(name="vp8", suffix=".webm", options=("-c:v", "libvpx", "-g", "6", *_audio("libvorbis"))),
    Seed(name="vp9", suffix=".webm", options=("-c:v", "libvpx-vp9", "-g", "6", "-cpu-used", "8", *_audio("libopus"))),
    Seed(name="mpeg4", suffix=".avi", options=("-c:v", "mpeg4", "-bf", "1", "-g", "6", *_audio("libmp3lame"))),
    Seed(name="ffv1", suffix=".avi", options=("-c:v", "ffv1", "-level", "3", *_audio("pcm_s16le"))),
    Seed(name="h264", suffix=".ts", options=(*_H264, *_audio("mp2"))),
    Seed(name="mpeg2", suffix=".ts", options=("-c:v", "mpeg2video", "-bf", "2", "-g", "6", *_audio("ac3"))),
    Seed(name="mpeg2", suffix=".vob", options=("-c:v", "mpeg2video", "-bf", "2", "-g", "6", *_audio("mp2"))),
    Seed(name="mpeg1", suffix=".mpg", options=("-c:v", "mpeg1video", "-g", "6", *_audio("mp2"))),
    Seed(name="h264", suffix=".flv", options=(*_H264, *_audio("aac"))),
    Seed(name="flv1", suffix=".flv", options=("-c:v", "flv1", *_audio("libmp3lame", "-ar", "44100"))),
    Seed(name="wmv", suffix=".wmv", options=("-c:v", "wmv2", *_audio("wmav2"))),
    Seed(name="mpeg2", suffix=".mxf", options=("-c:v", "mpeg2video", "-g", "6", *_audio("pcm_s16le"))),
    Seed(name="theora", suffix=".ogv", options=("-c:v", "libtheora", "-g", "6", *_audio("libvorbis"))),
    Seed(name="mpeg4", suffix=".3gp", options=("-c:v", "mpeg4", "-g", "6", *_audio("aac"))),
    Seed(name="raw", suffix=".y4m", options=("-pix_fmt", "yuv420p"), has_sound=False),
    Seed(name="palette", suffix=".gif", options=(), has_sound=False),
    Seed(name="stream", suffix=".h264", options=_H264, has_sound=False),
    Seed(name="stream", suffix=".m2v", options=("-c:v", "mpeg2video", "-bf", "2", "-g", "6"), has_sound=False),
    Seed(name="ffv1", suffix=".nut", options=("-c:v", "ffv1", *_audio("pcm_s16le"))),
    Seed(name="pal", suffix=".dv", is_dv=True, options=("-c:v", "dvvideo", "-pix_fmt", "yuv420p", "-shortest",
         *_audio("pcm_s16le", "-ac", "2"))),
    Seed(name="rv10", suffix=".rm", options=("-c:v", "rv10", *_audio("ac3"))),
    Seed(name="animation", suffix=".apng", options=("-plays", "0"), has_sound=False),
)  # fmt: skip


def has_ffmpeg() -> bool:
    """Whether the program that makes the files is here."""
    return shutil.which("ffmpeg") is not None
