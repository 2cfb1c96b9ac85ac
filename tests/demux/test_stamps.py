"""Every frame gets a time stamp behind the one before, whatever stamps a source has; good ones stay."""

from hypothesis import given
from hypothesis import strategies as st

from sr_tasks.demux.stamps import Ascending


def repaired(stamps: list[int | None], step: int = 40) -> list[int]:
    return [pts for pts, _ in Ascending[int](step=step).repair((stamp, n) for n, stamp in enumerate(stamps))]


@given(st.lists(st.one_of(st.none(), st.integers(-(10**9), 10**9)), max_size=400), st.integers(1, 4000))
def test_stamps_ascend_and_every_frame_keeps_its_place(stamps: list[int | None], step: int) -> None:
    found = list(Ascending[int](step=step).repair((stamp, n) for n, stamp in enumerate(stamps)))
    assert [n for _, n in found] == list(range(len(stamps)))
    assert all(earlier < later for (earlier, _), (later, _) in zip(found, found[1:], strict=False))


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=300), st.integers(-(10**6), 10**6))
def test_stamps_that_ascend_stay_as_they_are(steps: list[int], start: int) -> None:
    stamps = [start + sum(steps[:n]) for n in range(len(steps))]
    assert repaired(list(stamps)) == stamps


def test_an_equal_stamp_takes_the_place_at_the_frame_rate() -> None:
    assert repaired([0, 40, 80, 80, 160, 200]) == [0, 40, 80, 120, 160, 200]


def test_missing_stamps_are_filled_at_the_start_inside_and_at_the_end() -> None:
    assert repaired([None, None, 80, None, None, 200, None]) == [0, 40, 80, 120, 160, 200, 240]


def test_frames_without_room_at_the_rate_lie_evenly() -> None:
    assert repaired([0, 40, 40, 40, 70, 110]) == [0, 40, 50, 60, 70, 110]


def test_a_stamp_far_ahead_of_all_that_follow_is_not_believed() -> None:
    wrong = [0, 40, 9000, *range(120, 800, 40)]
    assert repaired(list(wrong)) == [0, 40, 80, *range(120, 800, 40)]
    assert repaired([0, 40, 0, *range(120, 800, 40)]) == [0, 40, 80, *range(120, 800, 40)]
