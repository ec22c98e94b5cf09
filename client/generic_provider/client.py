"""The client for CRMs, operators and internal services. See also `async_client`."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from types import TracebackType
from typing import Concatenate, ParamSpec, Self

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

_CLOSE_SECONDS = 1.0


def _sync(
    build: Callable[Concatenate[Caller, P], Call[Response, Result]],
) -> Callable[Concatenate[Client, P], Result]:
    build = named(build)

    @functools.wraps(build)
    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Result:
        return self._do(build(self, *args, **kwargs))

    return shown(method, build, "{}")


def _sync_list(
    build: Callable[Concatenate[Caller, P], Pages[Response, Item]],
) -> Callable[Concatenate[Client, P], Iterator[Item]]:
    build = named(build)

    @functools.wraps(build)
    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[Item]:
        return self._each(build(self, *args, **kwargs))

    return shown(method, build, "Iterator[{}]")


def _sync_watch(
    build: Callable[Concatenate[Caller, P], Watch[Response, Item]],
) -> Callable[Concatenate[Client, P], Iterator[Item]]:
    build = named(build)

    @functools.wraps(build)
    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[Item]:
        return self._watch(build(self, *args, **kwargs))

    return shown(method, build, "Iterator[{}]")


class Client(Base):
    """The client for code without asyncio. Several threads may share one Client."""

    perform = _sync(subscription.perform)
    batch_perform = _sync(subscription.batch_perform)
    get_action = _sync(subscription.get_action)
    cancel_scheduled_action = _sync(subscription.cancel_scheduled_action)
    list_actions = _sync_list(subscription.list_actions)
    get_subscription = _sync(subscription.get_subscription)
    list_subscriptions = _sync_list(subscription.list_subscriptions)
    watch_events = _sync_watch(subscription.watch_events)

    create_provider = _sync(provider.create_provider)
    get_provider = _sync(provider.get_provider)
    list_providers = _sync_list(provider.list_providers)
    update_provider = _sync(provider.update_provider)
    set_provider_state = _sync(provider.set_provider_state)

    get_request = _sync(request.get_request)
    list_requests = _sync_list(request.list_requests)
    cancel_request = _sync(request.cancel_request)
    resolve_request = _sync(request.resolve_request)
    get_backlog = _sync(request.get_backlog)
    list_adapters = _sync_list(request.list_adapters)

    create_archive = _sync(archive.create_archive)
    get_archive = _sync(archive.get_archive)
    list_archives = _sync_list(archive.list_archives)
    download_archive = _sync_watch(archive.download_archive)
    delete_archive = _sync(archive.delete_archive)
    list_audit_entries = _sync_list(archive.list_audit_entries)

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

    pull = _sync(provisioning.pull)
    send_responses = _sync(provisioning.send_responses)
    extend_leases = _sync(provisioning.extend_leases)
    release_leases = _sync(provisioning.release_leases)

    def report_platform_state(
        self,
        provider: str,
        entries: Iterable[PlatformSubscription],
        *,
        observed_time: datetime,
        complete: bool = False,
        max_missing_percent: float | None = None,
    ) -> ReportPlatformStateResponse:
        """Report the contents of the platform, with one entry for each subscriber. There may be any
        number of entries.

        `observed_time`: the time at which you began to read the platform. `complete`: true if the
        entries name every subscriber of the platform; then the other subscriptions that the
        platform should know count as missing. `max_missing_percent`: a complete report raises
        ReportIncomplete if more than this percentage of the provider's subscriptions would count as
        missing because no entry names them; default 5. The call has no timeout and is not repeated.
        After ServerUnavailable, send the whole report again, which is always safe.
        """
        report = Report(
            provider,
            observed_time=observed_time,
            complete=complete,
            max_missing_percent=max_missing_percent,
        )
        self._read_files_again()  # no retry follows that would read them
        return report.send(self._report_rpc, entries, metadata=self._metadata)

    def close(self) -> None:
        # If Ctrl-C interrupts gRPC while a call begins, gRPC waits for the end of this call forever
        for each in (*self._former, self.channel):
            closing = threading.Thread(target=each.close, daemon=True)
            closing.start()
            closing.join(_CLOSE_SECONDS)

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
    def channel(self) -> grpc.Channel:
        return self._opened(self._target.channel)

    def _do(self, call: Call[Response, Result]) -> Result:
        tries = Tries(self._timeout, wait=call.wait)
        while True:
            rpc = self._rpc(call.response)
            try:
                response = rpc(call.request, timeout=tries.seconds_left(), metadata=self._metadata)
            except grpc.RpcError as error:
                delay = tries.delay_after(error)
            else:
                return call.read(response)
            time.sleep(delay)
            self._prepare_retry()

    def _each(self, pages: Pages[Response, Item]) -> Iterator[Item]:
        more = True
        while more:
            page = self._do(pages.call())
            yield from pages.items(page)
            more = pages.follows(page)

    def _watch(self, watch: Watch[Response, Item]) -> Iterator[Item]:
        watched = Watched(watch, self._timeout)
        while watched.more:
            stream = self._stream(watch.response)(watch.request, metadata=self._metadata)
            with watched.opened(stream.cancel):
                for message in stream:
                    yield from watched.read(message)
            time.sleep(watched.delay)
            self._prepare_retry()
