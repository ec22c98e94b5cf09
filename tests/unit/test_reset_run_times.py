"""Tests recurring runs on days on which clocks change: in Tallinn, 28 March and 31 October 2027."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from generic_provider_server.commands.reset_run_times import next_time
from generic_provider_server.domain.refusals import InvalidField
from generic_provider_server.domain.values import SECOND, Instant


def due(cron: str, start: str, count: int, *, zone: str = "Europe/Tallinn") -> list[str]:
    """Returns the next `count` times of the expression `cron` after `start`, in UTC."""
    at = Instant(int(datetime.fromisoformat(start).timestamp()) * SECOND)
    times = []
    for _ in range(count):
        at = next_time(cron, zone, after=at)
        times.append(f"{datetime.fromtimestamp(at / SECOND, UTC):%m-%d %H:%M}")
    return times


def test_a_time_that_clocks_leave_out_is_done_at_once_after_that() -> None:
    found = due("30 3 * * *", "2027-03-27T00:00+00:00", 3)
    assert found == ["03-27 01:30", "03-28 01:00", "03-29 00:30"]


def test_a_time_that_comes_twice_is_done_once() -> None:
    found = due("30 3 * * *", "2027-10-30T00:00+00:00", 3)
    assert found == ["10-30 00:30", "10-31 00:30", "11-01 01:30"]


def test_what_runs_every_hour_runs_every_hour_on_both_days() -> None:
    spring = due("0 * * * *", "2027-03-27T23:30+00:00", 4)
    autumn = due("0 * * * *", "2027-10-30T23:30+00:00", 4)
    assert spring == ["03-28 00:00", "03-28 01:00", "03-28 02:00", "03-28 03:00"]
    assert autumn == ["10-31 00:00", "10-31 01:00", "10-31 02:00", "10-31 03:00"]


@pytest.mark.parametrize("zone", ["Europe/Tallinn", "Australia/Lord_Howe"])
@pytest.mark.parametrize("cron", ["30 3 * * *", "*/20 1-3 * * *"])
def test_no_time_comes_too_late_or_again(cron: str, zone: str) -> None:
    """Tries every tenth minute of the days on which the zones change their clocks."""
    for day in ("03-27", "04-03", "10-02", "10-30"):
        start = int(datetime.fromisoformat(f"2027-{day}T00:00+00:00").timestamp())
        moments = [Instant((start + 600 * n) * SECOND) for n in range(250)]
        times = [next_time(cron, zone, after=moment) for moment in moments]
        assert times == sorted(times)
        assert all(time > moment for time, moment in zip(times, moments, strict=True))


def test_a_time_is_that_of_its_zone() -> None:
    assert due("0 4 * * *", "2027-01-01T00:00+00:00", 1, zone="UTC") == ["01-01 04:00"]
    assert due("0 4 * * *", "2027-01-01T00:00+00:00", 1) == ["01-01 02:00"]


@pytest.mark.parametrize(
    ("cron", "zone"),
    [("x", "UTC"), ("0 0 * * *", "Mars/Olympus"), ("0 0 31 4,6 *", "UTC"), ("", "")],
)
def test_wrong_expressions_and_zones_are_refused(cron: str, zone: str) -> None:
    with pytest.raises(InvalidField):
        next_time(cron, zone, after=Instant(0))


@pytest.mark.parametrize(
    ("cron", "why"),
    [
        ("0 0 31 2 *", "is never due"),
        ("0 0 30,31 2 *", "is never due"),
        ("0 0 32 2 *", "is not an expression of five fields"),
        ("0 0 31 2 */x", "is not an expression of five fields"),
        ("0 0 31 2", "is not an expression of five fields"),
        ("0 61 31 2 *", "is not an expression of five fields"),
        ("0 0 31 13 *", "is not an expression of five fields"),
    ],
)
def test_a_refusal_says_whether_an_expression_is_wrong_or_only_never_due(
    cron: str, why: str
) -> None:
    with pytest.raises(InvalidField, match=why):
        next_time(cron, "UTC", after=Instant(0))
