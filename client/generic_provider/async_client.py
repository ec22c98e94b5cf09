"""The client for asyncio."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable
from datetime import datetime
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self

import grpc

from generic_provider import _archive_calls as archive
from generic_provider import _provider_calls as provider
from generic_provider import _provisioning_calls as provisioning
from generic_provider import _request_calls as request
from generic_provider import _reset_calls as reset
from generic_provider import _subscription_calls as subscription
from generic_provider._arguments import named, shown
from generic_provider._base import Base
from generic_provider._calls import Call, Caller, Item, Pages, Response, Result, Watch
from generic_provider._connection import Tries
from generic_provider._report import Report
from generic_provider._watched import Watched
from generic_provider.v1.provisioning_service_pb2 import (
    PlatformSubscription,
    ReportPlatformStateResponse,
)

P = ParamSpec("P")


def _async(
    build: Callable[Concatenate[Caller, P], Call[Response, Result]],
) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, Result]]:
    build = named(build)

    @functools.wraps(build)
    async def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> Result:
        return await self._do(build(self, *args, **kwargs))

    return shown(method, build, "{}")


def _async_list(
    build: Callable[Concatenate[Caller, P], Pages[Response, Item]],
) -> Callable[Concatenate[AsyncClient, P], AsyncIterator[Item]]:
    build = named(build)

    @functools.wraps(build)
    def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[Item]:
        return self._each(build(self, *args, **kwargs))

    return shown(method, build, "AsyncIterator[{}]")


def _async_watch(
    build: Callable[Concatenate[Caller, P], Watch[Response, Item]],
) -> Callable[Concatenate[AsyncClient, P], AsyncIterator[Item]]:
    build = named(build)

    @functools.wraps(build)
    def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[Item]:
        return self._watch(build(self, *args, **kwargs))

    return shown(method, build, "AsyncIterator[{}]")


class AsyncClient(Base):
    """The client for asyncio. AsyncClient has the same methods as Client.

    An AsyncClient can be used on one event loop only: the loop on which it is used first.
    """

    perform = _async(subscription.perform)
    batch_perform = _async(subscription.batch_perform)
    get_action = _async(subscription.get_action)
    cancel_scheduled_action = _async(subscription.cancel_scheduled_action)
    list_actions = _async_list(subscription.list_actions)
    get_subscription = _async(subscription.get_subscription)
    list_subscriptions = _async_list(subscription.list_subscriptions)
    watch_events = _async_watch(subscription.watch_events)

    create_provider = _async(provider.create_provider)
    get_provider = _async(provider.get_provider)
    list_providers = _async_list(provider.list_providers)
    update_provider = _async(provider.update_provider)
    set_provider_state = _async(provider.set_provider_state)

    get_request = _async(request.get_request)
    list_requests = _async_list(request.list_requests)
    cancel_request = _async(request.cancel_request)
    resolve_request = _async(request.resolve_request)
    get_backlog = _async(request.get_backlog)
    list_adapters = _async_list(request.list_adapters)

    create_archive = _async(archive.create_archive)
    get_archive = _async(archive.get_archive)
    list_archives = _async_list(archive.list_archives)
    download_archive = _async_watch(archive.download_archive)
    delete_archive = _async(archive.delete_archive)
    list_audit_entries = _async_list(archive.list_audit_entries)

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

    pull = _async(provisioning.pull)
    send_responses = _async(provisioning.send_responses)
    extend_leases = _async(provisioning.extend_leases)
    release_leases = _async(provisioning.release_leases)

    async def report_platform_state(
        self,
        provider: str,
        entries: AsyncIterable[PlatformSubscription] | Iterable[PlatformSubscription],
        *,
        observed_time: datetime,
        complete: bool = False,
        max_missing_percent: float | None = None,
    ) -> ReportPlatformStateResponse:
        """Report the contents of the platform for each subscriber. `Client.report_platform_state`
        explains the arguments.
        """
        report = Report(
            provider,
            observed_time=observed_time,
            complete=complete,
            max_missing_percent=max_missing_percent,
        )
        self._read_files_again()  # no retry follows that would read them
        return await report.send_async(self._report_rpc, entries, metadata=self._metadata)

    async def close(self) -> None:
        for each in (*self._former, self.channel):
            await each.close()

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
    def channel(self) -> grpc.aio.Channel:
        return self._opened(self._target.aio_channel)

    async def _do(self, call: Call[Response, Result]) -> Result:
        tries = Tries(self._timeout, wait=call.wait)
        while True:
            rpc = self._rpc(call.response)
            sent = rpc(call.request, timeout=tries.seconds_left(), metadata=self._metadata)
            try:
                return call.read(await sent)
            except grpc.RpcError as error:
                delay = tries.delay_after(error)
            finally:
                sent.cancel()
            await asyncio.sleep(delay)
            self._prepare_retry()

    async def _each(self, pages: Pages[Response, Item]) -> AsyncIterator[Item]:
        more = True
        while more:
            page = await self._do(pages.call())
            for item in pages.items(page):
                yield item
            more = pages.follows(page)

    async def _watch(self, watch: Watch[Response, Item]) -> AsyncIterator[Item]:
        watched = Watched(watch, self._timeout)
        loop = asyncio.get_running_loop()
        while watched.more:
            stream = self._stream(watch.response)(watch.request, metadata=self._metadata)
            with watched.opened(stream.cancel, call=loop.call_soon_threadsafe):
                async for message in stream:
                    for item in watched.read(message):
                        yield item
            await asyncio.sleep(watched.delay)
            self._prepare_retry()
