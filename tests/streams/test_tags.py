"""Which tags go into an output, and which are left out on request."""

import pytest

from sr_tasks.jobs.form import Strip
from sr_tasks.streams.tags import carried, not_written

PHONE = {"title": "Ein Film", "location": "+10.0+020.0/", "make": "Maker", "model": "Phone 1", "language": "deu"}


@pytest.mark.parametrize(
    ("strip", "left"),
    [
        ("nothing", {"title", "location", "make", "model"}),
        ("location", {"title", "make", "model"}),
        ("device", {"title"}),
        ("all", set()),
    ],
)
def test_strip_leaves_out_what_it_names(strip: Strip, left: set[str]) -> None:
    assert carried(PHONE, strip).keys() == left


def test_names_of_streams_stay_though_all_is_stripped() -> None:
    assert carried({"title": "Kommentar", "make": "Maker"}, "all", of_stream=True) == {"title": "Kommentar"}


@pytest.mark.parametrize("name", ["encoder", "DURATION", "BPS-eng", "_STATISTICS_TAGS", "alpha_mode", "stereo_mode"])
def test_what_describes_the_old_file_is_not_carried(name: str) -> None:
    assert carried({name: "1"}, of_stream=True) == {}


def test_what_mp4_has_no_place_for_is_named_unless_it_has_keys_of_any_name() -> None:
    assert not_written({"DIRECTOR": "Niemand", "title": "Ein Film"}, "mp4") == ["DIRECTOR"]
    assert not_written({"DIRECTOR": "Niemand"}, "matroska") == []
    assert not_written({"DIRECTOR": "Niemand", "com.example.key": "1"}, "mov") == []
