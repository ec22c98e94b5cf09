"""Contains scenarios that check how an adapter opens and closes streams."""

from __future__ import annotations

import grpc

from .lease import Message, heartbeat, now
from .rules import Broken
from .scenario_steps import Play
from .working import one_answer

CUTS = 12
CUTTING_SECONDS = 30.0
AT_ONCE_SECONDS = 0.7
"""If the sum of CUTS pauses is less than this number of seconds, the verdict is that the adapter
reconnected without a pause.

With random pauses, the sum is less only once in ten million checks.
"""
SAME_SECONDS = 0.05
"""If the pauses differ by less than this number of seconds, the verdict is that the adapter
reconnected without jitter.

A fixed pause seems to vary by more than 0.02 s on a busy machine. Random pauses from 0 to 0.5 s
differ by less than 0.05 s only once in ten billion checks.
"""
DRAIN_SECONDS = 2.0
SILENCE_SECONDS = 30.0
REFUSALS = 7
# The padding of 1.9 MB is in fields with an unknown number, which every reader of Protocol Buffers
# skips.
PADDING = (b"\x7a\x7f" + bytes(127)) * 15_000


async def large_message(play: Play) -> None:
    one, stream = await play.newcomer(rule=2), await play.stream()
    padded = heartbeat().heartbeat
    padded.MergeFromString(PADDING)
    stream.say(Message(heartbeat=padded))
    await play.answered(await play.give(one.activate()), rule=2)
    if not stream.open and not stream.stopped:
        raise Broken(2, "a message of 1.9 MB ended the stream")
    play.findings.kept(2, "a message of 1.9 MB was received; this check cannot observe pings")


async def cut_streams(play: Play) -> None:
    """Cuts the stream again and again while the adapter works on the same request."""
    one = await play.newcomer(rule=6)
    request = play.work(one)
    pauses: list[float] = []
    began = now()
    while len(pauses) < CUTS and now() - began < CUTTING_SECONDS:
        stream = await play.stream()
        await play.give(request)
        play.service.cut(stream)
        pauses.append(await play.reconnected(stream))
    lease = await play.give(request)
    judge_pauses(play, pauses)
    await one_answer(play, await play.answered(lease, rule=6))
    play.findings.kept(6, f"answered with the newest token after {len(pauses)} cuts")


def judge_pauses(play: Play, pauses: list[float]) -> None:
    told = f"{len(pauses)} times, {min(pauses):.2f} to {max(pauses):.2f} s after a cut"
    if len(pauses) == CUTS and sum(pauses) < AT_ONCE_SECONDS:
        play.findings.broken(1, f"reconnected without a pause {told}")
    elif len(pauses) == CUTS and max(pauses) - min(pauses) < SAME_SECONDS:
        play.findings.broken(1, f"reconnected without jitter {told}")
    else:
        play.findings.kept(1, f"reconnected {told}")


async def drain(play: Play) -> None:
    one, old = await play.newcomer(rule=11), await play.stream()
    lease = await play.give(play.work(one))
    play.service.drain(old)
    at_once = await play.service.until(play.service.current, seconds=DRAIN_SECONDS)
    old.end(grpc.StatusCode.OK)
    if not at_once:
        play.findings.broken(11, f"no new stream within {DRAIN_SECONDS:g} s of a drain")
    await play.reconnected(old)
    await play.answered(lease, rule=11)
    if lease.released and not lease.done:
        raise Broken(11, "the lease of a drained stream was released, not answered")
    if at_once:
        play.findings.kept(
            11, "opened a new stream at once, and answered the lease of the old stream"
        )


async def frozen_server(play: Play) -> None:
    if not play.terms.slow:
        play.findings.not_seen(
            1, "a server that hangs and growing pauses, because --slow was not given"
        )
        return
    stream = await play.stream()
    stream.silent = True
    began = now()
    if not await play.service.until(lambda: not stream.open, seconds=1.5 * SILENCE_SECONDS):
        raise Broken(
            1, f"a stream without a message for {1.5 * SILENCE_SECONDS:g} s was not cancelled"
        )
    await play.reconnected(stream)
    play.findings.kept(1, f"cancelled a stream that had been silent for {now() - began:.0f} s")


async def refused_streams(play: Play) -> None:
    if not play.terms.slow:
        return
    first = await play.stream()
    play.service.refusing = REFUSALS
    play.service.cut(first)
    pauses, stream = [], first
    for _ in range(REFUSALS + 1):
        pauses.append(await play.reconnected(stream))
        stream = play.service.streams[play.service.streams.index(stream) + 1]
    longest = max(pauses)
    if longest < 1:
        raise Broken(
            1, f"after {REFUSALS} refused streams it never paused longer than {longest:.1f} s"
        )
    play.findings.kept(1, f"after {REFUSALS} refused streams it paused for up to {longest:.1f} s")


async def one_stream(play: Play) -> None:
    """Counts the streams at the end of the check, when no stream is ending or beginning. Waits
    before, because each of several streams pauses before it is opened again.
    """
    await play.quiet()
    count = sum(stream.open and not stream.drained for stream in play.service.streams)
    if count > 1:
        raise Broken(1, f"{count} streams at once; is more than one adapter connected?")
