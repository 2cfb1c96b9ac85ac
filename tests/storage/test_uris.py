"""What a user may name, and that nothing named gets outside the allow-lists."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sr_tasks.config import Settings
from sr_tasks.errors import UriNotAllowed
from sr_tasks.storage.uris import LocalFile, S3Object, parse

ANYWHERE = Settings()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "http://example.org/a.mp4",
        "https://example.org/a.mp4",
        "concat:/a.mp4|/b.mp4",
        "pipe:0",
        "data:video/mp4;base64,AAAA",
        "subfile,,start,0,end,9,,:/etc/passwd",
        "crypto:file:/etc/passwd",
        "rtsp://host/stream",
        "S4://bucket/key",
        "file:relative.mp4",
        "file:/one/slash.mp4",
        "file://elsewhere/a.mp4",
        "file://",
        "file:///a%00b.mp4",
        "/a\0b.mp4",
        "/",
        "s3://",
        "s3:/bucket/key",
        "s3://bucket",
        "s3://bucket/",
        "s3://bucket/folder/",
        "s3://b/key",
        "s3://buck et/key",
        "s3://arn:aws:s3/key",
        "s3://bucket/a/../../other/key",
        "s3://bucket/./key",
        "s3://bucket/a\0b",
        "s3://bucket/" + "k" * 1025,
        "/\ud800.mp4",
    ],
)
def test_what_is_no_path_file_uri_or_object_is_refused(text: str) -> None:
    with pytest.raises(UriNotAllowed) as caught:
        parse(text, ANYWHERE)
    assert caught.value.hint


@pytest.mark.parametrize(
    "name", ["a b.mp4", "füße 東京.mkv", "100%25.mp4", "what?#1.mp4", "a:b.mp4", "-x.mp4", "🎬.mov"]
)
def test_any_name_survives_the_way_through_a_uri(tmp_path: Path, name: str) -> None:
    location = parse(str(tmp_path / name), ANYWHERE)
    assert isinstance(location, LocalFile)
    assert location.path == tmp_path / name
    assert location.name == name
    assert location.suffix == Path(name).suffix
    assert parse(location.uri, ANYWHERE) == location
    in_bucket = parse(f"s3://media/in/{name}", ANYWHERE)
    assert in_bucket == S3Object("media", f"in/{name}")
    assert (in_bucket.name, in_bucket.suffix) == (name, Path(name).suffix)
    assert parse(in_bucket.uri, ANYWHERE) == in_bucket


def test_file_uris_are_decoded_and_plain_paths_are_not() -> None:
    assert parse("file:///v/a%20b%23.mp4", ANYWHERE) == LocalFile(Path("/v/a b#.mp4"))
    assert parse("FILE://localhost/v/a.mp4", ANYWHERE) == LocalFile(Path("/v/a.mp4"))
    assert parse("file:///v/a?b#c.mp4", ANYWHERE) == LocalFile(Path("/v/a?b#c.mp4"))
    assert parse("/v/a%20b.mp4", ANYWHERE) == LocalFile(Path("/v/a%20b.mp4"))
    assert parse("//v/a.mp4", ANYWHERE) == LocalFile(Path("/v/a.mp4"))


def test_names_that_are_not_valid_utf8_survive() -> None:
    location = parse("/v/" + os.fsdecode(b"\xff\xfe.mp4"), ANYWHERE)
    assert location.uri == "file:///v/%FF%FE.mp4"
    assert parse(location.uri, ANYWHERE) == location


def test_relative_paths_start_at_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse("clip.mp4", ANYWHERE) == LocalFile(tmp_path / "clip.mp4")
    assert parse("./a:b.mp4", ANYWHERE) == LocalFile(tmp_path / "a:b.mp4")


def test_a_neighbour_has_another_name_in_the_same_place() -> None:
    assert parse("/v/a.mp4", ANYWHERE).with_name("a_x2.mp4") == LocalFile(Path("/v/a_x2.mp4"))
    assert S3Object("media", "in/a.mp4").with_name("b.mkv") == S3Object("media", "in/b.mkv")
    assert S3Object("media", "a.mp4").with_name("b.mkv") == S3Object("media", "b.mkv")


@pytest.mark.parametrize("name", ["", ".", "..", "../b.mp4", "x/b.mp4", "a\0"])
@pytest.mark.parametrize("location", [LocalFile(Path("/v/a.mp4")), S3Object("media", "in/a.mp4")])
def test_a_neighbour_cannot_lie_elsewhere(location: LocalFile | S3Object, name: str) -> None:
    with pytest.raises(UriNotAllowed):
        location.with_name(name)


def test_buckets_are_matched_against_the_list() -> None:
    some = Settings(allowed_buckets=("media", "in-*"))
    assert parse("s3://media/k", some) == S3Object("media", "k")
    assert parse("s3://in-2024/k", some) == S3Object("in-2024", "k")
    for bucket in ("media2", "xmedia", "MEDIA", "in"):
        with pytest.raises(UriNotAllowed, match="bucket"):
            parse(f"s3://{bucket}xx/k", some)
    with pytest.raises(UriNotAllowed):
        parse("s3://media/k", Settings(allowed_buckets=()))


def test_a_link_out_of_the_allowed_folder_is_refused_and_one_within_is_followed(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (inside / "escape").symlink_to(outside)
    (inside / "escape.mp4").symlink_to(outside / "a.mp4")
    (inside / "b.mp4").symlink_to(inside / "real.mp4")
    (inside / "loop").symlink_to(inside / "loop")
    allowed = Settings(allowed_roots=(inside,))
    for name in ("escape/a.mp4", "escape.mp4", "../out/a.mp4", "../in2/a.mp4", "..", "x/../../out/a.mp4"):
        with pytest.raises(UriNotAllowed, match="outside"):
            parse(f"{inside}/{name}", allowed)
    assert parse(f"{inside}/b.mp4", allowed) == LocalFile(inside / "real.mp4")
    assert parse(f"{inside}/loop", allowed).name == "loop"


def test_an_allowed_folder_may_itself_be_named_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    allowed = Settings(allowed_roots=(tmp_path / "link",))
    assert parse(str(tmp_path / "link" / "a.mp4"), allowed) == LocalFile(tmp_path / "real" / "a.mp4")


PIECES = st.lists(
    st.sampled_from(
        ["..", ".", "", "/", "//", "a", "out", "in", "link", "%2e%2e", "%2F", "%00", "\\", ":", "file:", "file://"]
        + ["s3://", "concat:", "|", "?", "#", " ", "\n", "~", "é", "\x00"]
    )
    | st.text(max_size=4),
    max_size=12,
)


@given(pieces=PIECES, joint=st.sampled_from(["/", ""]), lead=st.sampled_from(["", "/", "file://", "file:///", "IN/"]))
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_nothing_escapes_the_allowed_folder(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[str], joint: str, lead: str
) -> None:
    base = Path(tmp_path_factory.getbasetemp()).resolve() / "escape"
    inside = base / "in"
    if not inside.exists():
        inside.mkdir(parents=True)
        (base / "out").mkdir()
        (inside / "link").symlink_to(base / "out")
        (inside / "a").symlink_to("/etc")
    text = lead.replace("IN", str(inside)) + joint.join(pieces)
    if lead.startswith("file") and len(pieces) % 2:
        text = lead + str(inside) + "/" + joint.join(pieces)
    try:
        location = parse(text, Settings(allowed_roots=(inside,), allowed_buckets=("media",)))
    except UriNotAllowed:
        return
    if isinstance(location, S3Object):
        assert location.bucket == "media"
        assert ".." not in location.key.split("/")
    else:
        assert os.path.realpath(location.path).startswith(f"{inside}/")
        assert "\0" not in str(location.path)
