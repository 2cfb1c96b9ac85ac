"""Pictures that are damaged, hostile or not what the target holds: refused with a sentence, nothing left behind."""

import io
import re
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sr_tasks import __main__ as cli
from sr_tasks.errors import SrError
from tests import readers

LIMIT_S = 120
"""A hung reader would take longer."""


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, data: bytes, *more: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def encoded(name: str, mode: str = "RGB", size: tuple[int, int] = (60, 40), **options: Any) -> bytes:
    noise = np.random.default_rng(1).integers(0, 256, (size[1], size[0], len(mode)), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise if len(mode) > 1 else noise[:, :, 0]).save(file, name, **options)
    return file.getvalue()


def deep_png() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(2).integers(0, 65536, (40, 60), np.uint16)).save(file, "PNG")
    return file.getvalue()


def pages() -> bytes:
    file, page = io.BytesIO(), Image.new("RGB", (60, 40))
    page.save(file, "TIFF", save_all=True, append_images=[page])
    return file.getvalue()


def floating() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.ones((40, 60), np.float32)).save(file, "TIFF")
    return file.getvalue()


def header_of_bmp(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IHHI", 60, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, *[0] * 6)


CASES: list[tuple[str, Callable[[], bytes], str, str, str]] = [
    ("bomb.png", lambda: png(60000, 60000, b"\0" * 60000), ".png", "INPUT_TOO_LARGE", "60000x60000"),
    ("bomb.bmp", lambda: header_of_bmp(50000, 50000), ".bmp", "INPUT_TOO_LARGE", "50000x50000"),
    ("bomb.gif", lambda: b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b",", ".png", "INPUT_", "bomb.gif"),
    ("cut.jpg", lambda: encoded("JPEG")[:900], ".jpg", "INPUT_INVALID", "cut.jpg cannot be decoded"),
    ("cut.png", lambda: encoded("PNG")[:3000], ".png", "INPUT_INVALID", "cut.png"),
    ("cut16.png", lambda: deep_png()[:400], ".png", "INPUT_INVALID", "cut16.png"),
    ("cut.webp", lambda: encoded("WEBP")[:700], ".webp", "INPUT_INVALID", "cut.webp"),
    ("cut.tif", lambda: encoded("TIFF")[:2000], ".tif", "INPUT_INVALID", "cut.tif"),
    ("cut.avif", lambda: encoded("AVIF")[:500], ".avif", "INPUT_INVALID", "cut.avif"),
    ("head.jpg", lambda: b"\xff\xd8\xff\xe0", ".jpg", "INPUT_INVALID", "head.jpg is no readable picture"),
    ("noise.png", lambda: b"\x89PNG\r\n\x1a\n" + bytes(range(256)), ".png", "INPUT_INVALID", "noise.png"),
    ("noise.jxl", lambda: b"\xff\x0a" + bytes(range(256)), ".png", "INPUT_INVALID", "noise.jxl"),
    ("noise.heic", lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(256), ".png", "INPUT_INVALID", "noise.heic"),
    ("tiny.png", lambda: encoded("PNG", size=(4, 4)), ".png", "INPUT_UNSUPPORTED", "4x4; at least 8 px"),
    ("pages.tif", pages, ".tif", "INPUT_UNSUPPORTED", "has 2 pages"),
    ("float.tif", floating, ".tif", "INPUT_UNSUPPORTED", "float.tif has"),
    ("alpha.png", lambda: encoded("PNG", "RGBA"), ".jpg", "INPUT_UNSUPPORTED", "has alpha, which JPEG does not hold"),
    ("alpha.png", lambda: encoded("PNG", "RGBA"), ".bmp", "INPUT_UNSUPPORTED", "has alpha, which BMP does not hold"),
    (
        "photo.jpg",
        lambda: encoded("JPEG"),
        ".mp4",
        "CONTAINER_MISMATCH",
        "still picture (JPEG), and the output ends in '.mp4'",
    ),
    ("photo.jpg", lambda: encoded("JPEG"), ".gif", "USAGE", "no suffix of a container or picture"),
    ("wide.png", lambda: encoded("PNG", size=(9000, 8)), ".webp", "INPUT_TOO_LARGE", "at most 16383 px a side"),
]


@pytest.mark.parametrize(("name", "make", "suffix", "code", "said"), CASES, ids=[f"{c[0]} to {c[2]}" for c in CASES])
def test_a_picture_that_cannot_come_out_right_is_refused_with_a_sentence(
    name: str, make: Callable[[], bytes], suffix: str, code: str, said: str, enhance: Any, tmp_path: Path
) -> None:
    source = tmp_path / name
    source.write_bytes(make())
    started = time.monotonic()
    with pytest.raises(SrError, match=re.escape(said)) as refused:
        enhance(source, f"output{suffix}")
    assert refused.value.code.startswith(code), refused.value.code
    assert time.monotonic() - started < LIMIT_S
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [name]


def test_bytes_count_and_not_the_name(enhance: Any, tmp_path: Path) -> None:
    source = tmp_path / "photo.png"
    source.write_bytes(encoded("JPEG"))
    enhance(source, "")
    assert readers.exif(tmp_path / "photo_x2.jpg")["FileType"] == "JPEG"


def test_a_video_is_not_written_as_a_picture(enhance: Any, tmp_path: Path) -> None:
    source = readers.recording(tmp_path / "clip.mp4")
    with pytest.raises(SrError, match=r"clip.mp4 is no still picture, but the output ends in \.png"):
        enhance(source, "clip.png")


def test_the_report_of_a_picture_says_nothing_of_frames_and_time(enhance: Any, tmp_path: Path) -> None:
    source = tmp_path / "photo.jpg"
    source.write_bytes(encoded("JPEG"))
    page = Path(enhance(source, "photo_x2.jpg")["report"]).read_text()
    text = re.sub(r"<style.*?</style>|data:[^\"]*|<[^>]+>", " ", page, flags=re.DOTALL)
    assert "A still picture of 60x40 became 120x80" in text
    assert not re.search(r"Frame rate|Duration|Quality over time|Frozen|frame 0|CRF|Chunks", text)
    assert re.search(r"Format\s+JPEG", text)


def test_a_plan_says_what_becomes_of_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "photo.png"
    source.write_bytes(encoded("PNG", "RGBA", dpi=(300, 300)))
    assert cli.main(["probe", "--plan", str(source), "--output", str(tmp_path / "out.webp")]) == 0
    said = capsys.readouterr().out
    assert "PNG RGBA, 8 bits a sample" in said
    assert re.search(r"resolution .*dropped +WEBP is written without it", said)


def test_an_animation_is_a_video(enhance: Any, tmp_path: Path) -> None:
    file = tmp_path / "moving.gif"
    frames = [Image.new("RGB", (64, 48), (40 * step, 90, 200)) for step in range(6)]
    frames[0].save(file, save_all=True, append_images=frames[1:], duration=100)
    answer = enhance(file, "moving.mkv", codec="ffv1")
    assert answer["frames"] == 6


def test_exif_that_a_jpeg_does_not_hold_is_said_to_be_dropped(enhance: Any, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "x" * 200_000
    source = tmp_path / "huge.png"
    source.write_bytes(encoded("PNG", exif=exif.tobytes()))
    answer = enhance(source, "huge.jpg")
    assert "JPEG holds 65498 bytes of it" in Path(answer["manifest"]).read_text()
    assert "ImageDescription" not in readers.exif(tmp_path / "huge.jpg")


def test_fewer_bits_are_said_and_refused_by_a_strict_job(enhance: Any, tmp_path: Path) -> None:
    source = tmp_path / "deep.png"
    source.write_bytes(deep_png())
    answer = enhance(source, "shallow.jpg")
    assert "JPEG holds 8 bits a sample here" in Path(answer["manifest"]).read_text()
    with pytest.raises(SrError, match="strict was asked for"):
        enhance(source, "strict.jpg", strict=True)


@pytest.mark.parametrize(
    ("strip", "gone", "stays"),
    [
        ("location", {"GPSLatitude"}, {"Make", "ISO", "Artist", "ProfileDescription", "XResolution"}),
        (
            "device",
            {"GPSLatitude", "Make", "Model", "SerialNumber", "LensModel"},
            {"ISO", "Artist", "ProfileDescription"},
        ),
        ("all", {"GPSLatitude", "Make", "ISO", "Artist", "Title"}, {"ProfileDescription", "XResolution"}),
    ],
)
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_private_tags_are_left_out_of_pictures(
    suffix: str, strip: str, gone: set[str], stays: set[str], enhance: Any, tmp_path: Path
) -> None:
    from PIL import ImageCms

    source = tmp_path / "photo.jpg"
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    source.write_bytes(encoded("JPEG", icc_profile=icc, dpi=(300, 300)))
    tags = ("-GPSLatitude=51.5", "-GPSLatitudeRef=N", "-Make=Maker", "-Model=Camera", "-ISO=200", "-Artist=A. Person")
    more = ("-SerialNumber=SN1234", "-LensModel=Lens 50", "-XMP-dc:Title=Secret place")
    readers.run("exiftool", "-q", "-overwrite_original", *tags, *more, source)
    enhance(source, f"clean{suffix}", strip=strip)
    facts = readers.exif(tmp_path / f"clean{suffix}")
    assert not (gone | {"Title"}) & facts.keys()
    held = {"ISO", "Artist"} | ({"XResolution"} if suffix != ".png" else set())
    assert {name for name in stays if name in held or name == "ProfileDescription"} <= facts.keys()
    data = (tmp_path / f"clean{suffix}").read_bytes()
    if strip != "location":
        assert b"SN1234" not in data
    assert b"Secret place" not in data
