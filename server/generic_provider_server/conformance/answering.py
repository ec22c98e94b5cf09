"""Contains scenarios that check how an adapter applies and answers requests."""

from __future__ import annotations

from collections.abc import Sequence

import grpc

from generic_provider.v1 import provisioning_service_pb2 as v1
from generic_provider.v1 import resources_pb2 as resources

from .fake_service import Answer
from .lease import CheckedLease
from .rules import Broken
from .scenario_steps import UNKNOWN, Play, refused, said
from .subscriber import Subscriber

MOST_REPEATS = 3
HELD_SECONDS = 1.0
VERDICTS = (
    v1.RESPONSE_CODE_STALE,
    v1.RESPONSE_CODE_OUT_OF_ORDER,
    v1.RESPONSE_CODE_CONFLICT,
    v1.RESPONSE_CODE_NOT_FOUND,
    v1.RESPONSE_CODE_INVALID,
)
NEEDED = frozenset(
    {resources.REQUEST_TYPE_ACTIVATE_SERVICE, resources.REQUEST_TYPE_DEACTIVATE_SERVICE}
)
"""The types of requests that an adapter must apply, apart from BECOME_SUBSCRIBER."""
COMES_AGAIN = frozenset({v1.RESPONSE_CODE_STALE, v1.RESPONSE_CODE_OUT_OF_ORDER})


async def in_order(play: Play) -> None:
    one = await play.newcomer(rule=3)
    lease = await play.give(
        one.become(), one.activate(), one.deactivate(), one.activate(), one.deactivate()
    )
    await play.answered(lease, rule=3)
    play.findings.kept(3, "5 requests of one subscription were answered in order")


async def piled_up(play: Play) -> None:
    """Delays the verdict on the first answer, so that later answers wait in the adapter."""
    one = await play.newcomer(rule=3)
    first = one.become()
    play.service.held[first.number] = HELD_SECONDS
    lease = await play.give(
        first, one.activate(), one.deactivate(), one.activate(), one.deactivate()
    )
    await play.service.until(lambda: lease.done or not lease.live, seconds=play.patience)
    early = {e.request for e in play.service.answers if e.code == v1.RESPONSE_CODE_OUT_OF_ORDER}
    early &= {each.number for each in lease.requests}
    if forgotten := [number for number in lease.waiting if number in early]:
        raise Broken(9, f"{forgotten[0]} was not answered again after OUT_OF_ORDER")
    await play.answered(lease, rule=3)
    if not early:
        play.findings.kept(3, "answers that had waited in the adapter came in order")


async def done_twice(play: Play) -> None:
    """Sends requests of several types twice, the second time with a new number. So the second
    request adds an element that the platform already holds, or removes an element that the platform
    no longer holds.
    """
    one = await play.newcomer(rule=5)
    items = (
        resources.REQUEST_TYPE_ADD_INSTALLED_ITEM,
        resources.REQUEST_TYPE_REMOVE_INSTALLED_ITEM,
    )
    kinds = (
        *(items if one.has_items else ()),
        resources.REQUEST_TYPE_BECOME_SUBSCRIBER,
        resources.REQUEST_TYPE_ACTIVATE_SERVICE,
        resources.REQUEST_TYPE_DEACTIVATE_SERVICE,
    )
    for kind in kinds:
        await _twice(play, one, kind)
    stray = one.stray()
    answer = await play.settled(stray, rule=5)
    if answer.status != v1.RESPONSE_STATUS_ACCEPTED:
        raise Broken(5, f"DEACTIVATE_SERVICE without a viewing point was answered {said(answer)}")
    play.findings.kept(5, "requests whose effect the platform already had were accepted")


async def _twice(play: Play, one: Subscriber, kind: resources.RequestType.ValueType) -> None:
    name = resources.RequestType.Name(kind).removeprefix("REQUEST_TYPE_")
    request = one.of(kind)
    answer = await play.settled(request, rule=5)
    which = "first"
    if answer.status == v1.RESPONSE_STATUS_ACCEPTED:
        which = "second"
        answer = await play.settled(one.of(kind), rule=5)
    # rule 12 demands the answer UNKNOWN if the adapter does not know the type
    elif said(answer) == UNKNOWN or kind == resources.REQUEST_TYPE_REMOVE_INSTALLED_ITEM:
        play.findings.not_seen(5, f"{name}, which was answered {said(answer)}")
        return
    elif kind in NEEDED:
        raise refused(request, answer, rule=5)
    # Even a first request of another type adds only what the newcomer's BECOME_SUBSCRIBER added.
    if answer.status != v1.RESPONSE_STATUS_ACCEPTED:
        raise Broken(5, f"a {which} {name} of the same element was answered {said(answer)}")


async def unknown_type(play: Play) -> None:
    one = await play.newcomer(rule=12)
    unknown = one.unknown()
    lease = await play.give(one.activate(), unknown, one.deactivate(), one.activate())
    lease = await play.answered(lease, rule=12, up_to=unknown)
    answer = await play.first_answer(unknown, rule=12)
    told = said(answer)
    if told != UNKNOWN:
        raise Broken(12, f"type {unknown.type} was answered {told}")
    play.findings.kept(12, f"type {unknown.type} was answered {told}")
    await _rest_is_dropped(play, lease, after=unknown, why="RETRY_LATER")


async def rejection(play: Play) -> None:
    if play.terms.rejecting is None:
        play.findings.not_seen(4, "a rejection, because --rejecting was not given")
        return
    one = await play.newcomer(rule=4)
    rejected = one.activate(play.terms.rejecting)
    lease = await play.give(one.activate(), rejected, one.deactivate(), one.activate())
    lease = await play.answered(lease, rule=4, up_to=rejected)
    answer = await play.first_answer(rejected, rule=4)
    if answer.status != v1.RESPONSE_STATUS_REJECTED:
        told = said(answer)
        play.findings.not_seen(4, f"a rejection: {play.terms.rejecting} was answered {told}")
        return
    await _rest_is_dropped(play, lease, after=rejected, why="REJECTED")
    again = await play.give(*_requests_after(rejected, lease))
    await play.answered(again, rule=4)


def _requests_after(
    request: resources.ProvisioningRequest, lease: CheckedLease
) -> list[resources.ProvisioningRequest]:
    numbers = [each.number for each in lease.requests]
    return [*lease.requests[numbers.index(request.number) + 1 :]]


async def _rest_is_dropped(
    play: Play, lease: CheckedLease, *, after: resources.ProvisioningRequest, why: str
) -> None:
    await play.quiet()
    rest = _requests_after(after, lease)
    answered = [each.number for each in rest if play.service.answers_to(each)]
    if answered:
        raise Broken(4, f"after {why} the adapter answered {', '.join(answered)} of the same lease")
    play.findings.kept(4, f"the other requests of a lease were dropped after {why}")


async def lost_answers(play: Play) -> None:
    played = []
    for status in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        request = (await play.newcomer(rule=8)).activate()
        play.service.lost[request.number] = status
        await play.give(request)
        played.append((status, request))
    answers = play.service.answers_to
    await play.service.until(
        lambda: all(len(answers(request)) > 1 for _, request in played), seconds=play.patience
    )
    for status, request in played:
        if answers(request):
            _judge_lost(play, answers(request), lost=status.name)
        else:
            told = f"{request.number} was not answered within {play.patience:g} s"
            play.findings.broken(3, told)
            play.findings.not_seen(8, f"a lost answer: {told}")


def _judge_lost(play: Play, answers: Sequence[Answer], *, lost: str) -> None:
    if not answers[1:]:
        when = f"SendResponses had failed with {lost}, within {play.patience:g} s"
        play.findings.broken(8, f"an answer was not sent again after {when}")
        return
    first, again = answers[:2]
    if again.status != first.status:
        play.findings.broken(8, f"answered {said(first)}, but {said(again)} after {lost}")
    elif again.token != first.token:
        play.findings.broken(8, f"sent an answer again with another lease token after {lost}")
    else:
        play.findings.kept(8, f"the same answer came again after {lost}")


async def verdicts(play: Play) -> None:
    played = []
    first = await play.newcomer(rule=9)
    for code in VERDICTS:
        request = (await play.newcomer(rule=9)).activate()
        play.service.forced[request.number] = code
        await play.give(request)
        played.append((code, request))
    for _, request in played:
        await play.first_answer(request, rule=9)
    await play.quiet()
    for code, request in played:
        times = len(play.service.answers_to(request))
        if times > MOST_REPEATS:
            name = v1.ResponseCode.Name(code).removeprefix("RESPONSE_CODE_")
            play.findings.broken(
                9, f"sent the same answer {times} times, though the verdict was {name}"
            )
    for code, request in played:
        if code in COMES_AGAIN:
            await play.answered(await play.give(request), rule=9)
    await play.settled(first.become(), rule=9)
    play.findings.kept(9, "continued after STALE, OUT_OF_ORDER, CONFLICT, NOT_FOUND and INVALID")
