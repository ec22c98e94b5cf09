"""Contains scenarios with requests on which an adapter works for a long time."""

from __future__ import annotations

import asyncio

from generic_provider.v1 import provisioning_service_pb2 as v1

from .lease import CheckedLease, now
from .rules import Broken
from .scenario_steps import Play, said
from .subscriber import Subscriber

AGAIN_SECONDS = 0.3
ON_THE_WAY_SECONDS = 0.5
"""After a newer lease is sent, an answer with the older token may still arrive for this number of
seconds.
"""
SHARE_OF_LEASE = 0.8
"""The check gives a lease of such a duration that the adapter works for this share of the duration.
So an answer is in time even if the adapter does not extend the lease.
"""
LEAST_LEASE = 1.0
CUT_LEASE_SECONDS = 600.0
"""The duration of a lease whose stream is cut. It is long, so that the adapter does not extend the
lease during its work, and only the end of the stream tells that the lease has ended.
"""
NO_SLOW_TYPE = "work that lasts, because --slow-type was not given"
TOO_QUICK = "work that lasts: --slow-type took less than a second"


async def redelivery(play: Play) -> None:
    """Hands the same request over again and again while the adapter works on it."""
    if play.terms.slow_type is None:
        play.findings.not_seen(6, NO_SLOW_TYPE)
        return
    one = await play.newcomer(rule=6)
    request = play.work(one)
    lease = await play.give(request)
    for _ in range(2):
        if await play.service.until(
            lambda: play.service.answers_to(request), seconds=AGAIN_SECONDS
        ):
            play.findings.not_seen(6, "work that lasts: the adapter answered at once")
            return
        lease = await play.give(request)
    await one_answer(play, await play.answered(lease, rule=6))
    play.findings.kept(
        6, "a request that was handed over 3 times during the work was answered once"
    )


async def one_answer(play: Play, newest: CheckedLease) -> None:
    """Checks that the adapter answered once, with the newest token. Ignores answers that arrived
    before the adapter can have received the newest lease.
    """
    await play.quiet()
    (request,) = newest.requests
    since = newest.given_at + ON_THE_WAY_SECONDS
    late = [each for each in play.service.answers_to(request) if each.at > since]
    old = [each for each in late if each.token != newest.token]
    if old:
        raise Broken(6, f"{request.number} was answered with a token that was not the newest")
    if len(late) > 1:
        raise Broken(6, f"{request.number} was answered {len(late)} times")


async def leases_in_work(play: Play) -> None:
    if play.terms.slow_type is None:
        play.findings.not_seen(7, NO_SLOW_TYPE)
        return
    one, other = await play.newcomer(rule=7), await play.newcomer(rule=7)
    seconds = await _seconds_of_work(play, one) / SHARE_OF_LEASE
    if seconds < LEAST_LEASE:
        play.findings.not_seen(7, TOO_QUICK)
        return
    kept = await play.give(play.work(one), timed=True, seconds=seconds)
    lost = await play.give(
        play.work(other), other.activate(), other.deactivate(), timed=True, seconds=seconds
    )
    lost.to_be_taken = True
    await asyncio.gather(_extended(play, kept), _taken(play, lost))
    _side_by_side(play, kept, lost)


async def _seconds_of_work(play: Play, one: Subscriber) -> float:
    lease = await play.give(play.work(one))
    await play.answered(lease, rule=7)
    return now() - lease.given_at


async def _extended(play: Play, lease: CheckedLease) -> None:
    await play.service.until(lambda: lease.done or not lease.live, seconds=play.patience)
    took = now() - lease.given_at
    if lease.extended_at:
        after = lease.extended_at[0] - lease.given_at
        play.findings.kept(7, f"a lease of {lease.seconds:.1f} s was extended after {after:.1f} s")
    elif took < lease.seconds / 3:
        ended = f"work that lasts: the lease ended after {took:.1f} s"
        play.findings.not_seen(7, TOO_QUICK if lease.done else ended)
    elif not lease.done:
        play.findings.broken(7, f"a lease of {lease.seconds:.1f} s ran out during the work on it")
    else:
        play.findings.broken(
            7, f"{took:.1f} s of work on a lease of {lease.seconds:.1f} s, not extended"
        )


async def _taken(play: Play, lease: CheckedLease) -> None:
    begun, *rest = lease.requests
    await play.first_answer(begun, rule=7)
    if not lease.extended_at:
        return
    await play.quiet()
    started = [each.number for each in rest if play.service.answers_to(each)]
    if started:
        play.findings.broken(7, f"after live = false the adapter began {', '.join(started)}")
    else:
        play.findings.kept(7, "after live = false it answered only the request that it had begun")


def _side_by_side(play: Play, *leases: CheckedLease) -> None:
    """Reports whether the adapter works on several leases at the same time, although no rule
    demands this.
    """
    firsts = [play.service.answers_to(lease.requests[0]) for lease in leases]
    if not all(firsts):
        return
    took = [answers[0].at - lease.given_at for answers, lease in zip(firsts, leases, strict=True)]
    how = "at the same time" if max(took) < 1.5 * min(took) else "one after the other"
    play.findings.kept(3, f"for information: two subscriptions were served {how}")


async def old_lease(play: Play) -> None:
    """Hands over a lease whose duration is mostly over. An adapter gets such a lease if a server is
    suspended while it sends the lease.
    """
    one, stream = await play.newcomer(rule=13), await play.stream()
    request = one.activate()
    lease = play.service.give([request], on=stream, timed=False, spent=0.8)
    opened = play.service.streams.index(stream) + 1
    await play.service.until(lambda: lease.released, seconds=play.patience)
    await play.quiet()
    if play.service.answers_to(request):
        raise Broken(
            13, f"{request.number} was begun, though most of the lease's duration was over"
        )
    if not lease.released:
        raise Broken(13, "a lease was not released, though most of its duration was over")
    if not await play.service.until(lambda: play.service.streams[opened:], seconds=play.patience):
        raise Broken(13, "no new stream was opened after a lease that was handed over too late")
    play.findings.kept(
        13, "a lease that was handed over too late was released, and a new stream opened"
    )


async def cut_in_work(play: Play) -> None:
    if play.terms.slow_type is None:
        play.findings.not_seen(13, NO_SLOW_TYPE)
        return
    one, stream = await play.newcomer(rule=13), await play.stream()
    begun, unbegun = play.work(one), one.activate()
    lease = await play.give(begun, unbegun, seconds=CUT_LEASE_SECONDS)
    if await play.service.until(lambda: play.service.answers_to(begun), seconds=AGAIN_SECONDS):
        play.findings.not_seen(13, TOO_QUICK)
        return
    play.service.cut(stream)
    learns_at = now() + ON_THE_WAY_SECONDS
    answer = await play.first_answer(begun, rule=13)
    if answer.at <= learns_at:
        # the adapter may have begun the second request before it learned of the cut
        await play.quiet()
        play.findings.not_seen(13, TOO_QUICK)
        return
    # after a refusal, the adapter drops the second request, and need not release the lease
    refused = answer.status != v1.RESPONSE_STATUS_ACCEPTED
    if not refused:
        await play.service.until(lambda: lease.released or lease.told_ended, seconds=play.patience)
    await play.quiet()
    _judge_cut(play, lease, refused=refused)


def _judge_cut(play: Play, lease: CheckedLease, *, refused: bool) -> None:
    """Judges what the adapter did with the second request of a lease whose stream was cut while the
    adapter worked on the first request.
    """
    unbegun = lease.requests[1]
    if play.service.answers_to(unbegun):
        raise Broken(13, f"{unbegun.number} was begun after its stream had ended")
    if lease.released:
        play.findings.kept(
            13, "the second request of a lease was released after the stream had ended"
        )
    elif refused:
        play.findings.not_seen(
            13, "the second request of a cut lease, because --slow-type was refused"
        )
    # an adapter need not release a lease if it was told that the lease has ended
    elif not lease.told_ended:
        raise Broken(
            13, "the second request of a lease was not released, though the stream had ended"
        )


async def platform_down(play: Play) -> None:
    if play.terms.down is None:
        play.findings.not_seen(10, "an outage, because --down was not given")
        return
    one, stream = await play.newcomer(rule=10), await play.stream()
    request = one.activate(play.terms.down)
    lease = await play.give(request, one.deactivate())
    stage = play.service
    await stage.until(lambda: lease.released or stage.answers_to(request), seconds=play.patience)
    answers = stage.answers_to(request)
    if answers and answers[0].status == v1.RESPONSE_STATUS_ACCEPTED:
        play.findings.not_seen(10, f"an outage: {play.terms.down} was answered {said(answers[0])}")
        return
    if answers:
        raise Broken(10, f"{request.number} was answered, though the platform was down")
    if not lease.released:
        raise Broken(10, "the platform is down, and the lease was not released")
    if not await stage.until(lambda: not stream.open, seconds=play.patience):
        raise Broken(10, "the platform is down, and the stream was not closed")
    await play.reconnected(stream)
    play.findings.kept(10, "the lease was released, the stream closed, and a new stream opened")
