"""Clients for CRMs, operators and internal services: `Client`, and `AsyncClient` for asyncio."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable, Iterator
from datetime import datetime
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self

import grpc

from generic_provider import _archive_calls as archive
from generic_provider import _delivery_calls as delivery
from generic_provider import _operation_calls as operation
from generic_provider import _reset_calls as reset
from generic_provider import _subscription_calls as subscription
from generic_provider._base import Base
from generic_provider._calls import Call, Caller, Item, Pages, Response, Result, Watch
from generic_provider._connection import Tries
from generic_provider._report import Report
from generic_provider.v1.provisioning_service_pb2 import (
    PlatformSubscription,
    ReportPlatformStateResponse,
)

P = ParamSpec("P")


def _sync(
    build: Callable[Concatenate[Caller, P], Call[Response, Result]],
) -> Callable[Concatenate[Client, P], Result]:
    @functools.wraps(build)
    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Result:
        return self._do(build(self, *args, **kwargs))

    return method


def _sync_list(
    build: Callable[Concatenate[Caller, P], Pages[Response, Item]],
) -> Callable[Concatenate[Client, P], Iterator[Item]]:
    @functools.wraps(build)
    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[Item]:
        return self._each(build(self, *args, **kwargs))

    return method


def _sync_watch(
    build: Callable[Concatenate[Caller, P], Watch[Response, Item]],
) -> Callable[Concatenate[Client, P], Iterator[Item]]:
    @functools.wraps(build)
    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[Item]:
        return self._watch(build(self, *args, **kwargs))

    return method


class Client(Base):
    """The client for code without asyncio. Threads may share it."""

    perform = _sync(subscription.perform)
    batch_perform = _sync(subscription.batch_perform)
    get_action = _sync(subscription.get_action)
    list_actions = _sync_list(subscription.list_actions)
    get_subscription = _sync(subscription.get_subscription)
    list_subscriptions = _sync_list(subscription.list_subscriptions)

    create_provider = _sync(operation.create_provider)
    get_provider = _sync(operation.get_provider)
    list_providers = _sync_list(operation.list_providers)
    update_provider = _sync(operation.update_provider)
    set_provider_state = _sync(operation.set_provider_state)

    get_request = _sync(operation.get_request)
    list_requests = _sync_list(operation.list_requests)
    cancel_request = _sync(operation.cancel_request)
    resolve_request = _sync(operation.resolve_request)
    get_backlog = _sync(operation.get_backlog)
    list_adapters = _sync_list(operation.list_adapters)

    create_archive = _sync(archive.create_archive)
    get_archive = _sync(archive.get_archive)
    list_archives = _sync_list(archive.list_archives)
    download_archive = _sync_watch(archive.download_archive)
    delete_archive = _sync(archive.delete_archive)

    reset_subscription = _sync(reset.reset_subscription)
    create_reset_run_definition = _sync(reset.create_reset_run_definition)
    get_reset_run_definition = _sync(reset.get_reset_run_definition)
    update_reset_run_definition = _sync(reset.update_reset_run_definition)
    delete_reset_run_definition = _sync(reset.delete_reset_run_definition)
    set_reset_run_definition_state = _sync(reset.set_reset_run_definition_state)
    preview_reset_run = _sync(reset.preview_reset_run)
    submit_reset_run_definition = _sync(reset.submit_reset_run_definition)
    get_reset_run = _sync(reset.get_reset_run)
    approve_reset_run = _sync(reset.approve_reset_run)
    cancel_reset_run = _sync(reset.cancel_reset_run)
    list_reset_run_definitions = _sync_list(reset.list_reset_run_definitions)
    list_reset_runs = _sync_list(reset.list_reset_runs)
    list_reset_run_entries = _sync_list(reset.list_reset_run_entries)
    watch_reset_run = _sync_watch(reset.watch_reset_run)

    pull = _sync(delivery.pull)
    send_responses = _sync(delivery.send_responses)
    extend_leases = _sync(delivery.extend_leases)
    release_leases = _sync(delivery.release_leases)

    def report_platform_state(
        self,
        provider: str,
        entries: Iterable[PlatformSubscription],
        *,
        observed_time: datetime,
        complete: bool = False,
        max_missing_percent: float | None = None,
    ) -> ReportPlatformStateResponse:
        """Report what the platform holds for each subscriber, in any number of entries.

        `observed_time`: the time at which reading the platform began. `complete`: the platform does
        not know a subscriber whom no entry names. The call has no timeout and is not repeated:
        after ServerUnavailable send the whole report again, which is harmless.
        """
        report = Report(
            provider,
            observed_time=observed_time,
            complete=complete,
            max_missing_percent=max_missing_percent,
        )
        return report.send(self._report_rpc, entries, metadata=self._metadata)

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @functools.cached_property
    def _channel(self) -> grpc.Channel:
        return self._target.channel()

    def _do(self, call: Call[Response, Result]) -> Result:
        tries = Tries(self._timeout + call.wait)
        rpc = self._rpc(call.response)
        while True:
            try:
                response = rpc(call.request, timeout=tries.seconds_left(), metadata=self._metadata)
            except grpc.RpcError as error:
                delay = tries.delay_after(error)
            else:
                return call.read(response)
            time.sleep(delay)

    def _each(self, pages: Pages[Response, Item]) -> Iterator[Item]:
        more = True
        while more:
            page = self._do(pages.call())
            yield from pages.items(page)
            more = pages.follows(page)

    def _watch(self, watch: Watch[Response, Item]) -> Iterator[Item]:
        tries = Tries(self._timeout)
        while True:
            stream = self._stream(watch.response)(watch.request, metadata=self._metadata)
            try:
                for message in stream:
                    tries = Tries(self._timeout)
                    yield watch.read(message)
            except grpc.RpcError as error:
                delay = tries.delay_after(error)
            else:
                return
            finally:
                stream.cancel()
            time.sleep(delay)


def _async(
    build: Callable[Concatenate[Caller, P], Call[Response, Result]],
) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, Result]]:
    @functools.wraps(build)
    async def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> Result:
        return await self._do(build(self, *args, **kwargs))

    return method


def _async_list(
    build: Callable[Concatenate[Caller, P], Pages[Response, Item]],
) -> Callable[Concatenate[AsyncClient, P], AsyncIterator[Item]]:
    @functools.wraps(build)
    def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[Item]:
        return self._each(build(self, *args, **kwargs))

    return method


def _async_watch(
    build: Callable[Concatenate[Caller, P], Watch[Response, Item]],
) -> Callable[Concatenate[AsyncClient, P], AsyncIterator[Item]]:
    @functools.wraps(build)
    def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[Item]:
        return self._watch(build(self, *args, **kwargs))

    return method


class AsyncClient(Base):
    """The client for asyncio, with the same methods.

    It belongs to the event loop that uses it first.
    """

    perform = _async(subscription.perform)
    batch_perform = _async(subscription.batch_perform)
    get_action = _async(subscription.get_action)
    list_actions = _async_list(subscription.list_actions)
    get_subscription = _async(subscription.get_subscription)
    list_subscriptions = _async_list(subscription.list_subscriptions)

    create_provider = _async(operation.create_provider)
    get_provider = _async(operation.get_provider)
    list_providers = _async_list(operation.list_providers)
    update_provider = _async(operation.update_provider)
    set_provider_state = _async(operation.set_provider_state)

    get_request = _async(operation.get_request)
    list_requests = _async_list(operation.list_requests)
    cancel_request = _async(operation.cancel_request)
    resolve_request = _async(operation.resolve_request)
    get_backlog = _async(operation.get_backlog)
    list_adapters = _async_list(operation.list_adapters)

    create_archive = _async(archive.create_archive)
    get_archive = _async(archive.get_archive)
    list_archives = _async_list(archive.list_archives)
    download_archive = _async_watch(archive.download_archive)
    delete_archive = _async(archive.delete_archive)

    reset_subscription = _async(reset.reset_subscription)
    create_reset_run_definition = _async(reset.create_reset_run_definition)
    get_reset_run_definition = _async(reset.get_reset_run_definition)
    update_reset_run_definition = _async(reset.update_reset_run_definition)
    delete_reset_run_definition = _async(reset.delete_reset_run_definition)
    set_reset_run_definition_state = _async(reset.set_reset_run_definition_state)
    preview_reset_run = _async(reset.preview_reset_run)
    submit_reset_run_definition = _async(reset.submit_reset_run_definition)
    get_reset_run = _async(reset.get_reset_run)
    approve_reset_run = _async(reset.approve_reset_run)
    cancel_reset_run = _async(reset.cancel_reset_run)
    list_reset_run_definitions = _async_list(reset.list_reset_run_definitions)
    list_reset_runs = _async_list(reset.list_reset_runs)
    list_reset_run_entries = _async_list(reset.list_reset_run_entries)
    watch_reset_run = _async_watch(reset.watch_reset_run)

    pull = _async(delivery.pull)
    send_responses = _async(delivery.send_responses)
    extend_leases = _async(delivery.extend_leases)
    release_leases = _async(delivery.release_leases)

    async def report_platform_state(
        self,
        provider: str,
        entries: AsyncIterable[PlatformSubscription] | Iterable[PlatformSubscription],
        *,
        observed_time: datetime,
        complete: bool = False,
        max_missing_percent: float | None = None,
    ) -> ReportPlatformStateResponse:
        """Report what the platform holds for each subscriber. See Client."""
        report = Report(
            provider,
            observed_time=observed_time,
            complete=complete,
            max_missing_percent=max_missing_percent,
        )
        return await report.send_async(self._report_rpc, entries, metadata=self._metadata)

    async def close(self) -> None:
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @functools.cached_property
    def _channel(self) -> grpc.aio.Channel:
        return self._target.aio_channel()

    async def _do(self, call: Call[Response, Result]) -> Result:
        tries = Tries(self._timeout + call.wait)
        rpc = self._rpc(call.response)
        while True:
            sent = rpc(call.request, timeout=tries.seconds_left(), metadata=self._metadata)
            try:
                return call.read(await sent)
            except grpc.RpcError as error:
                delay = tries.delay_after(error)
            finally:
                sent.cancel()
            await asyncio.sleep(delay)

    async def _each(self, pages: Pages[Response, Item]) -> AsyncIterator[Item]:
        more = True
        while more:
            page = await self._do(pages.call())
            for item in pages.items(page):
                yield item
            more = pages.follows(page)

    async def _watch(self, watch: Watch[Response, Item]) -> AsyncIterator[Item]:
        tries = Tries(self._timeout)
        while True:
            stream = self._stream(watch.response)(watch.request, metadata=self._metadata)
            try:
                async for message in stream:
                    tries = Tries(self._timeout)
                    yield watch.read(message)
            except grpc.RpcError as error:
                delay = tries.delay_after(error)
            else:
                return
            finally:
                stream.cancel()
            await asyncio.sleep(delay)
