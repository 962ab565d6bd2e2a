"""The clock of a log: late lines, times in the future, clocks that are set; nothing stands still."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from logstats.live.log_clock import MANY, SECOND, Judged, LogClock

NOON = 1_737_115_200 * SECOND  # 2025-01-17T12:00:00Z
HOUR = 3600


class Machine:
    """A log clock, fed by the second: the times of lines are seconds after noon, and so is this machine's clock."""

    def __init__(self, lateness: int = 30) -> None:
        self.clock = LogClock(lateness * SECOND)

    def lines(self, at: float, *seconds: float) -> Judged:
        times = np.array([NOON + round(second * SECOND) for second in seconds], np.int64)
        return self.clock.judge(times, NOON + round(at * SECOND), at)

    def shows(self, at: float) -> float:
        shown = self.clock.at(at)
        assert shown is not None
        return (shown - NOON) / SECOND


def test_lines_within_lateness_are_on_time() -> None:
    machine = Machine()
    assert machine.lines(10, 0, 9, 10).on_time.all()
    judged = machine.lines(40, 40, 10, 9.999, 39)
    assert (judged.on_time.tolist(), judged.late, judged.ahead) == ([True, True, False, True], 1, 0)
    assert machine.shows(45) == 45, "it goes on while nothing comes"


def test_a_line_from_the_future_moves_nothing() -> None:
    machine = Machine()
    machine.lines(0, 0)
    judged = machine.lines(1, 1, 9 * HOUR, 1)
    assert (judged.on_time.tolist(), judged.ahead, judged.moved) == ([True, False, True], 1, 0)
    for second in range(2, 100):  # one again and again, beside others
        assert machine.lines(second, second, 9 * HOUR).late == 0
    assert machine.shows(99) == 99


def test_a_clock_that_is_set_is_followed() -> None:
    """Back by an hour where a zone is not logged and summer time ends, and forward, by a wrong zone."""
    for jump in (-HOUR, 2 * HOUR):
        machine = Machine()
        machine.lines(0, 0)
        off = [machine.lines(second, second + jump) for second in range(1, 60)]
        lost = sum(judged.late + judged.ahead for judged in off)
        assert lost == 30, "for as long as lines may be late"
        assert [round(judged.moved / SECOND) for judged in off if judged.moved] == [jump]
        assert machine.shows(59) == 59 + jump
        machine.lines(60, 60)  # and back again
        back = [machine.lines(second, second) for second in range(61, 100)]
        assert machine.shows(99) == 99
        assert back[-1].on_time.all()


def test_a_log_whose_zone_was_read_wrong_is_followed_at_once() -> None:
    machine = Machine()
    judged = machine.lines(0, *range(5 * HOUR, 5 * HOUR + 20))
    assert judged.on_time.all()
    assert judged.moved > 0
    assert machine.lines(20, 5 * HOUR + 21).on_time.all()


def test_many_lines_at_once_tell_as_much_as_time() -> None:
    """An old log that is read from its start holds one line of next month: those that follow are not late."""
    machine = Machine()
    times = [float(number) for number in range(3 * MANY)]
    times[100] = 700 * HOUR
    judged = machine.lines(10_000 * HOUR, *times)
    assert (judged.late, judged.ahead) == (0, 1)
    assert machine.shows(10_000 * HOUR) == 3 * MANY - 1


@given(st.lists(st.lists(st.integers(-100, 100), min_size=1, max_size=5), max_size=30))
def test_every_line_is_on_time_late_or_ahead(batches: list[list[int]]) -> None:
    machine = Machine()
    for second, batch in enumerate(batches):
        judged = machine.lines(second, *(second + off for off in batch))
        assert int(judged.on_time.sum()) + judged.late + judged.ahead == len(batch)
        assert machine.clock.newest is not None
