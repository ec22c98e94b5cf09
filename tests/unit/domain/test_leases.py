"""Tests lease tokens, verdicts on answers, and the pause after a failed attempt."""

from __future__ import annotations

import pytest

from generic_provider_server.domain.lease import LONGEST_DELAY, Lease, back_off, lease_of, token_of
from generic_provider_server.domain.values import SECOND, RequestState
from generic_provider_server.domain.verdicts import ResponseCode, ResponseStatus, judge_final

KEY = b"secret"
LEASE = Lease("ALUXSAT", "S0000000309", 7, unit=3, first=1, last=4, stream="s")


def test_a_token_names_its_lease() -> None:
    assert lease_of(token_of(LEASE, KEY), KEY) == LEASE


def test_nobody_else_can_issue_a_token() -> None:
    assert lease_of(token_of(LEASE, b"other"), KEY) is None


def test_a_token_with_one_character_changed_was_never_issued() -> None:
    token = token_of(LEASE, KEY)
    for n, character in enumerate(token[:-1]):
        changed = token[:n] + ("A" if character != "A" else "B") + token[n + 1 :]
        assert lease_of(changed, KEY) is None


@pytest.mark.parametrize("token", ["", "A", "nonsense", "not base64!", "é", "A" * 5_000])
def test_what_is_no_token_was_never_issued(token: str) -> None:
    assert lease_of(token, KEY) is None


@pytest.mark.parametrize(
    ("unit", "index", "covered"),
    [(3, 1, True), (3, 4, True), (3, 0, False), (3, 5, False), (2, 1, False), (4, 1, False)],
)
def test_a_lease_covers_its_requests_and_no_others(unit: int, index: int, *, covered: bool) -> None:
    assert LEASE.covers(unit=unit, index=index) is covered


COMPLETED, REJECTED = RequestState.COMPLETED, RequestState.REJECTED
CANCELLED, EXPIRED = RequestState.CANCELLED, RequestState.EXPIRED
YES, NO, LATER = ResponseStatus


@pytest.mark.parametrize(
    ("state", "status", "code"),
    [
        (COMPLETED, YES, ResponseCode.DUPLICATE),
        (COMPLETED, NO, ResponseCode.CONFLICT),
        (COMPLETED, LATER, ResponseCode.CONFLICT),
        (REJECTED, YES, ResponseCode.STALE),
        (REJECTED, NO, ResponseCode.DUPLICATE),
        (REJECTED, LATER, ResponseCode.STALE),
        *[(s, a, ResponseCode.STALE) for s in (CANCELLED, EXPIRED) for a in ResponseStatus],
    ],
)
def test_an_answer_for_a_final_request_changes_nothing(
    state: RequestState, status: ResponseStatus, code: ResponseCode
) -> None:
    assert judge_final(state, status) is code


def test_pauses_double_from_nothing_to_five_minutes() -> None:
    pauses = [back_off(attempts, jitter=1) // SECOND for attempts in range(1, 13)]
    assert pauses == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_a_pause_is_bounded_however_often_it_failed_and_spread_by_a_fifth() -> None:
    assert back_off(10**6, jitter=1.2) == LONGEST_DELAY * 1.2
    assert back_off(3, jitter=0.8) == 2 * SECOND * 0.8
