"""The file of rules: what is refused before it can do harm, and by which words."""

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sr_tasks.arrivals.files import Arrived
from sr_tasks.arrivals.jobs import spec_of, takes
from sr_tasks.arrivals.rules import Watch, load
from sr_tasks.config import Settings
from sr_tasks.errors import UsageError

GOOD = "s3://out/{folder}{stem}_x{scale}{suffix}"


def rules(tmp_path: Path, text: str) -> object:
    file = tmp_path / "arrivals.yaml"
    file.write_text(text)
    return load(dataclasses.replace(Settings(), arrivals_file=str(file)))


def test_without_a_file_nothing_is_taken() -> None:
    assert load(Settings()).watches == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("uploads: [{prefix: 's3://b/in/', output: 's3://b/in/{folder}{stem}{suffix}'}]", "without end"),
        ("uploads: [{prefix: 's3://b/in/', output: 's3://b/{folder}{stem}{suffix}'}]", "without end"),
        ("uploads: [{prefix: 's3://b/in/', output: 'S3://b/in/done/{stem}{suffix}'}]", "without end"),
        ("uploads: [{prefix: '/srv/in/', output: 'file:///srv/out/../in/x/{stem}{suffix}'}]", "without end"),
        ("uploads: [{prefix: '/srv/in/', output: '{folder}{stem}{suffix}'}]", "without end"),
        (
            "uploads: [{prefix: 's3://b/in/', output: 's3://c/{stem}{suffix}'}]\n"
            "archives: [{prefix: 's3://c/', output: 's3://d/{stem}{suffix}'}]",
            "without end",
        ),
        (f"uploads: [{{prefix: 's3://b/in', output: '{GOOD}'}}]", "slash"),
        ("uploads: [{prefix: 's3://b/in/', output: 's3://out/{stem}.mp4'}]", "share one output"),
        ("uploads: [{prefix: 's3://b/in/', output: 's3://out/{stem.__class__}{suffix}'}]", "unknown field"),
        ("uploads: [{prefix: 's3://b/in/', output: 's3://out/{stem!r}{suffix}'}]", "braces"),
        ("uploads: [{prefix: 's3://b/in/', output: 's3://out/{stem}{suffix}{'}]", "output"),
        (f"uploads: [{{prefix: 's3://b/in/', output: '{GOOD}', job: {{scale: 5}}}}]", "scale=5"),
        (f"uploads: [{{prefix: 's3://b/in/', output: '{GOOD}', job: {{source: x}}}}]", "source"),
        ("nights: {}", "nights"),
        ("night: {closes: '25:00'}", "closes"),
        ("- a list", "the file"),
        ("uploads: {", "cannot be read"),
    ],
)
def test_a_file_that_would_do_harm_is_refused_with_the_reason(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        rules(tmp_path, text)
    assert said in str(caught.value)


@pytest.mark.parametrize("strip", ["location", "device", "all"])
def test_a_rule_may_ask_for_private_tags_to_be_left_out(strip: str, tmp_path: Path) -> None:
    found = rules(tmp_path, f"uploads: [{{prefix: 's3://b/in/', output: '{GOOD}', job: {{strip: {strip}}}}}]")
    watch, *_ = found.watches  # type: ignore[attr-defined]
    assert watch.spec("s3://b/in/phone.mov").strip == strip


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere.yaml"):
        load(dataclasses.replace(Settings(), arrivals_file=str(tmp_path / "nowhere.yaml")))


_NAMES = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=8),
    min_size=1,
    max_size=3,
).filter(lambda parts: not {".", ".."} & set(parts) and not parts[-1].startswith("."))
_SUFFIXES = st.sampled_from([".mp4", ".avi", ".mkv", ".MP4", ".ts", ".jpg", ".png", ".jxl"])


@settings(deadline=None)
@given(st.lists(st.tuples(_NAMES, _SUFFIXES), min_size=2, max_size=6))
def test_no_two_objects_share_an_output(files: list[tuple[list[str], str]]) -> None:
    watch = Watch(prefix="s3://media/in/", output=GOOD)
    uris = {f"s3://media/in/{'/'.join(parts)}{suffix}" for parts, suffix in files}
    outputs = {
        spec_of(Arrived(uri=uri, version="1", size_bytes=1, modified_s=0), watch, Settings()).output for uri in uris
    }
    assert len(outputs) == len(uris)


@pytest.mark.parametrize(
    ("name", "output"),
    [("a.jpg", "a_x2.jpg"), ("a.TIF", "a_x2.TIF"), ("a.jxl", "a_x2.jxl.png"), ("a.heic", "a_x2.heic")],
)
def test_uploads_and_archives_take_pictures(name: str, output: str) -> None:
    watch = Watch(prefix="s3://media/in/", output="s3://media/out/{stem}_x{scale}{suffix}")
    arrived = Arrived(uri=f"s3://media/in/{name}", version="1", size_bytes=1, modified_s=0)
    assert takes(watch, arrived)
    assert spec_of(arrived, watch, Settings()).output == f"s3://media/out/{output}"
