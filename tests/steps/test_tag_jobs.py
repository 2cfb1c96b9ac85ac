"""Tags of phones, cameras and tag editors come out in whole jobs, unless the request says to leave them out."""

import json
from pathlib import Path

import pytest

from tests import readers
from tests.readers import recording
from tests.steps.conftest import Enhance

PHONE = {
    "com.apple.quicktime.location.ISO6709": "+10.0000+020.0000+003.000/",
    "com.apple.quicktime.make": "Maker",
    "com.apple.quicktime.model": "Phone 1",
    "com.apple.quicktime.creationdate": "2024-01-02T03:04:05+0100",
}


def tagged(path: Path, tags: dict[str, str], *options: str) -> Path:
    words = [word for name, value in tags.items() for word in ("-metadata", f"{name}={value}")]
    return recording(path, "-c:a", "aac", *words, *options)


@pytest.fixture
def phone(tmp_path: Path) -> Path:
    return tagged(tmp_path / "a.mov", PHONE, "-movflags", "use_metadata_tags")


@pytest.mark.parametrize("suffix", [".mov", ".mp4"])
def test_place_make_model_and_date_of_a_phone_are_kept(suffix: str, phone: Path, enhance: Enhance) -> None:
    found = readers.exif(Path(enhance(phone, f"out{suffix}", gate=False)["output"]))
    assert (found["Make"], found["Model"]) == ("Maker", "Phone 1")
    assert found["GPSPosition"].startswith("10 deg 0' 0.00\" N, 20 deg")
    assert found["CreationDate"] == "2024:01:02 03:04:05+01:00"


@pytest.mark.parametrize(
    ("strip", "gone", "left"),
    [
        ("location", ["GPSPosition", "GPSCoordinates"], ["Make", "Model", "CreationDate"]),
        ("device", ["GPSPosition", "Make", "Model"], ["CreateDate"]),
        ("all", ["GPSPosition", "Make", "Model", "CreationDate"], []),
    ],
)
@pytest.mark.parametrize("suffix", [".mov", ".mkv"])
def test_what_was_to_be_removed_is_in_neither_output_nor_manifest_nor_report(
    suffix: str, strip: str, gone: list[str], left: list[str], phone: Path, enhance: Enhance
) -> None:
    result = enhance(phone, f"out{suffix}", gate=False, strip=strip)
    output, manifest = Path(result["output"]), Path(result["manifest"])
    found = readers.exif(output)
    assert not found.keys() & set(gone)
    if suffix == ".mov":
        assert set(left) <= found.keys()
    for path in (output, manifest, Path(result["report"])):
        data = path.read_bytes()
        assert b"+10.0000" not in data
        assert (b"Phone 1" in data) == (strip == "location" and path.suffix != ".html")
    assert json.loads(manifest.read_text())["request"]["strip"] == strip


def test_itunes_tags_and_languages_and_names_of_tracks_are_kept(enhance: Enhance, tmp_path: Path) -> None:
    tags = {"title": "Ein Film", "artist": "wir", "date": "1999", "comment": "gut"}
    options = ("-metadata:s:a", "language=deu", "-metadata:s:a", "title=Kommentar", "-disposition:a", "default")
    source = tagged(tmp_path / "a.mp4", tags, *options)
    output = Path(enhance(source, "out.mp4", gate=False)["output"])
    found = readers.exif(output)
    assert (found["Title"], found["Artist"], str(found["ContentCreateDate"]), found["Comment"]) == tuple(tags.values())
    sound = readers.streams(output)[1]
    assert sound["tags"]["language"] == "deu"
    assert sound["disposition"]["default"] == 1


def test_a_tag_that_mp4_has_no_place_for_is_listed_and_matroska_keeps_it(enhance: Enhance, tmp_path: Path) -> None:
    source = tagged(tmp_path / "a.mkv", {"DIRECTOR": "Niemand", "title": "Ein Film"})
    rows = json.loads(Path(enhance(source, "out.mp4", gate=False)["manifest"]).read_text())["streams"]
    assert [(row["type"], row["codec"], row["fate"]) for row in rows[2:]] == [("tags", "DIRECTOR", "dropped")]
    output = Path(enhance(source, "out.mkv", gate=False)["output"])
    assert readers.exif(output)["Director"] == "Niemand"


def test_statistics_of_the_old_file_do_not_describe_the_new_one(enhance: Enhance, tmp_path: Path) -> None:
    plain = recording(tmp_path / "plain.mkv", "-c:a", "flac")
    readers.run("mkvmerge", "-q", "-o", tmp_path / "a.mkv", plain)
    output = Path(enhance(tmp_path / "a.mkv", "out.mkv", gate=False)["output"])
    assert not [
        name for name in readers.streams(output)[0]["tags"] if name.startswith(("BPS", "_STATISTICS", "NUMBER"))
    ]
