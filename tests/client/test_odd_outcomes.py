"""Tests that an adapter answers or releases each request, and continues, whatever its routine
returns or raises.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from generic_provider import (
    Accepted,
    Adapter,
    AsyncClient,
    Client,
    PlatformDown,
    ProvisioningRequest,
    Reject,
    RequestState,
    RetryLater,
)
from support.bundled_adapter import make, until
from support.provisioning_server import Server, serving
from support.shop import shop

PENDING, REJECTED = RequestState.PENDING, RequestState.REJECTED
SENTENCE = "the card is not known to the platform, ask the warehouse which card it is"


class Code(str, Enum):  # noqa: UP042 - str() of a StrEnum returns the value
    NO_CARD = "E42"


class Silent(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


class Wordless(Reject):
    def __init__(self) -> None:
        pass


class Impatient(RetryLater):
    def __init__(self) -> None:
        pass


def raising(error: BaseException | type[BaseException]) -> Callable[[], Any]:
    def do() -> None:
        raise error

    return do


def returning(value: object) -> Callable[[], Any]:
    return lambda: value


def yielding() -> Iterator[str]:
    yield "A"


def odd(value: Any) -> Any:
    """Hides the type of the value from the type checker."""
    return value


ODD: dict[str, tuple[Callable[[], Any], RequestState.ValueType, str, str]] = {
    "reject-number": (raising(Reject(odd(404), "x")), REJECTED, "404", "x"),
    "reject-member": (raising(Reject(Code.NO_CARD)), REJECTED, "E42", ""),
    "reject-none": (raising(Reject(odd(None))), REJECTED, "", ""),
    "reject-dict": (raising(Reject("E", odd({"a": 1}))), REJECTED, "E", "{'a': 1}"),
    "reject-wordless": (raising(Wordless), REJECTED, "", ""),
    "reject-sentence": (raising(Reject(SENTENCE)), REJECTED, SENTENCE[:64], SENTENCE),
    "reject-long-code": (raising(Reject(SENTENCE, "x")), REJECTED, SENTENCE[:64], "x"),
    "reject-class": (raising(Reject), PENDING, "TypeError", ""),
    "reject-silent": (raising(Reject("E", odd(Silent()))), PENDING, "ValueError", "no words"),
    "reject-half-a-pair": (raising(Reject("E", "\ud83d!")), REJECTED, "E", "?!"),
    "later-number": (raising(RetryLater(odd(None), code=odd(7))), PENDING, "7", ""),
    "later-text": (raising(RetryLater(odd("soon"), code="E")), PENDING, "E", ""),
    "later-reason": (raising(RetryLater("no slot", code="E")), PENDING, "E", "no slot"),
    "later-long-code": (raising(RetryLater(code=SENTENCE)), PENDING, SENTENCE[:64], SENTENCE),
    "later-endless": (raising(RetryLater(float("inf"), code="E")), PENDING, "E", ""),
    "later-wordless": (raising(Impatient), PENDING, "", ""),
    "true": (lambda: True, PENDING, "TypeError", ""),
    "dict": (returning({"a": 1}), PENDING, "TypeError", "a routine returns None, a str or"),
    "bytes": (returning(b"A"), PENDING, "TypeError", ""),
    "generator": (yielding, PENDING, "TypeError", ""),
    "long": (returning("A" * 65), PENDING, "ValueError", "account_number has up to 64"),
    "accepted-list": (lambda: Accepted(account_number=odd([])), PENDING, "TypeError", ""),
    "silent": (raising(Silent), PENDING, "Silent", ""),
    "exit": (raising(SystemExit("bye")), PENDING, "SystemExit", "bye"),
    "generator-exit": (raising(GeneratorExit), PENDING, "GeneratorExit", ""),
    "cancelled": (raising(asyncio.CancelledError), PENDING, "CancelledError", ""),
    "group": (raising(BaseExceptionGroup("g", [SystemExit()])), PENDING, "BaseExceptionGroup", "g"),
}
NOT_LOGGED = {"good", "reject-number", "reject-member", "reject-wordless", "reject-half-a-pair"}


@pytest.mark.parametrize("kind", ["plain", "coroutine", "awaitable"])
async def test_nothing_that_a_routine_returns_or_raises_ends_the_adapter(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # Python converts a StopIteration of a coroutine to a RuntimeError
    stop = "StopIteration" if kind == "plain" else "RuntimeError"
    cases = {**ODD, "stop": (raising(StopIteration), PENDING, stop, "")}

    async with shop(tmp_path) as crm:
        adapter = Adapter(crm.address, provider="P", name="odd")
        adapter.otherwise(routine(kind, lambda number: cases[number][0]()))
        cases["good"] = (returning("A1"), RequestState.COMPLETED, "", "")
        async with serving(adapter):
            await crm.subscribe(cases)
            found = await crm.tried()

    for name, (_, state, code, text) in cases.items():
        request = found[name]
        assert request.state == state, name
        assert request.error_code == code, name
        assert request.error_description.startswith(text), name
    logged = " ".join(r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING)
    told = {name for name in found if found[name].number in logged}
    assert told == cases.keys() - NOT_LOGGED


@pytest.mark.parametrize("kind", ["plain", "coroutine", "awaitable"])
async def test_a_number_is_taken_as_the_account_number(kind: str, tmp_path: Path) -> None:
    values = {"int": 4711, "said": lambda: Accepted(account_number=odd(4711))}
    async with shop(tmp_path) as crm:
        adapter = Adapter(crm.address, provider="P", name="odd")
        adapter.otherwise(routine(kind, lambda n: v() if callable(v := values[n]) else v))
        async with serving(adapter):
            await crm.subscribe(values)
            await crm.tried()
            found = [await crm.crm.get_subscription(number) for number in values]
    assert [each.provider_links[0].account_number for each in found] == ["4711", "4711"]


async def test_a_routine_that_cancels_itself_ends_nothing_else(tmp_path: Path) -> None:
    async with shop(tmp_path) as crm:
        adapter = Adapter(crm.address, provider="P", name="odd")

        @adapter.otherwise
        async def do(request: ProvisioningRequest) -> None:
            if request.subscription == "odd":
                this = asyncio.current_task()
                assert this
                this.cancel()
                await asyncio.sleep(0)

        async with serving(adapter):
            await crm.subscribe(["odd"])
            assert (await crm.tried())["odd"].error_code == "CancelledError"
            await crm.subscribe(["good"])
            assert (await crm.tried())["good"].state == RequestState.COMPLETED


@pytest.mark.parametrize("odd_delay", [b"soon", float("nan"), None, [1]])
async def test_a_platform_that_is_down_for_nobody_knows_how_long_is_given_a_pause(
    odd_delay: Any, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generic_provider._routines._DOWN", timedelta(milliseconds=20))
    await down(server, PlatformDown(odd_delay))


@pytest.mark.parametrize("delay", [0, 0.02, timedelta(milliseconds=-1)])
async def test_a_pause_may_be_given_in_seconds(delay: float, server: Server) -> None:
    await down(server, PlatformDown(delay))


async def test_the_reason_of_an_outage_is_logged(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(PlatformDown, "retry_after", timedelta(milliseconds=20))
    await down(server, PlatformDown("no answer from 7071"))
    assert "the platform is down: no answer from 7071; all requests are given back" in caplog.text
    assert "a delay is" not in caplog.text


async def down(server: Server, error: PlatformDown) -> None:
    adapter, tries = make(server), list[str]()

    @adapter.otherwise
    async def do(request: ProvisioningRequest) -> None:
        tries.append(request.number)
        if len(tries) == 1:
            raise error

    async with serving(adapter):
        stream = await server.stream()
        stream.give("S1", "T1", "R1")
        assert list((await server.released.get()).lease_tokens) == ["T1"]
        (await server.stream()).give("S1", "T2", "R1")
        assert await server.answers(1) == [("R1", "T2")]


@pytest.mark.parametrize("error", [ValueError, SystemExit, asyncio.CancelledError])
async def test_a_hook_that_fails_ends_nothing(
    error: type[BaseException], server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    adapter = make(server)
    adapter.otherwise(lambda _: None)
    adapter.on_connect(raising(error))
    async with serving(adapter):
        (await server.stream()).give("S1", "T1", "R1")
        assert await server.answers(1) == [("R1", "T1")]
        await until(lambda: adapter.stats.accepted == 1)
    assert "a hook of the adapter failed" in caplog.text


def test_a_hook_that_nothing_would_await_is_refused_at_once() -> None:
    async def hook(*_: str) -> None: ...

    adapter = Adapter("localhost:1", provider="P", name="a")
    for register in (adapter.on_connect, adapter.on_disconnect):
        with pytest.raises(TypeError, match="a hook is a plain function"):
            register(hook)
    for client in Client("localhost:1"), AsyncClient("localhost:1"):
        with pytest.raises(TypeError, match="a hook is a plain function"):
            client.watch_events(on_heartbeat=hook)


def routine(kind: str, end: Callable[[str], Any]) -> Callable[[ProvisioningRequest], Any]:
    def plain(request: ProvisioningRequest) -> Any:
        return end(request.subscription)

    async def coroutine(request: ProvisioningRequest) -> Any:
        return end(request.subscription)

    def awaitable(request: ProvisioningRequest) -> Any:
        return coroutine(request)

    return {"plain": plain, "coroutine": coroutine, "awaitable": awaitable}[kind]
