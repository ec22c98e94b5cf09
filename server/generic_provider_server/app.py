"""Builds the server from settings, starts it, drains it and stops it."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import grpc.aio
import structlog
from google.protobuf.descriptor import ServiceDescriptor

from .callers import WrongCallers, known_callers
from .config import Settings, is_loopback
from .health import HEALTH, Health
from .listening import Address, Listening, check_free
from .logs import audit_lines, configure_logs
from .metrics.recording import Recording
from .metrics.showing import Show, shown
from .pem import Certificates, check_pem
from .rpc.access import Access
from .rpc.calls import Calls, add_service
from .rpc.reflecting import add_reflection
from .rpc.servicers import SERVICES, Services, servicers
from .rpc.timing import Observe
from .services.action_waits import ActionWaits
from .services.archiving import archiving_loop
from .services.auditing import Auditing
from .services.clock_duties import Duty, duties
from .services.clock_runner import Clock
from .services.delivery import Delivery
from .services.periodic_step import Loop
from .services.presence import Presence, connected
from .services.rereading import Rereading
from .services.resetting import Resetting
from .services.watching import Watching
from .store.archives.folder import archive_folder
from .store.database.engine import StoreFailed, StoreGone, StoreLost
from .store.opening import open_store
from .store.store import Store
from .store.waits import Waits

SHUTTING_DOWN = "this server process is shutting down"
WATCH_SECONDS = 1.0
"""The seconds between two checks whether this server may still use the database (`Store.check`)."""
ATTEMPTS, ATTEMPT_SECONDS = 10, 1.0
"""The number of further attempts to reach a database at the start, and the seconds between two
attempts.
"""

GONE = {StoreGone: "database_gone", StoreFailed: "writer_gone"}
"""The names of the lines in the log that say why the server stops by itself."""

log = structlog.get_logger()


async def serve(
    settings: Settings,
    *,
    on_serving: Callable[[str], None],
    port_shared: bool = False,
    show: Show | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT, then drains.

    `on_serving` is called with the address when the server serves; `running` explains the other
    arguments. Raises StoreInUse, StoreLost or UnsupportedDatabase if the database cannot be used,
    OSError if an address cannot be bound, StoreGone after the database file was removed or
    replaced, or after a newer version has changed the schema, and StoreFailed if the server cannot
    write any more.
    """
    configure_logs(settings)
    stop, gone = asyncio.Event(), list[Exception]()
    loop = asyncio.get_running_loop()

    def stop_without(error: Exception) -> None:
        if not gone:
            name = GONE.get(type(error), "address_gone")
            log.error(name, error=str(error))
        gone.append(error)
        stop.set()

    served = running(settings, port_shared=port_shared, on_gone=stop_without, show=show)
    async with served as address:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        _spare_collections()
        on_serving(address)
        if settings.callers is None:
            say = log.info if is_loopback(settings.address[0]) else log.warning
            say("no_callers", meaning="everybody who reaches the address may do everything")
        await stop.wait()
        log.info("draining", seconds=settings.drain_seconds)
    if gone:
        raise gone[0]


def _spare_collections() -> None:
    """Makes garbage collections short and rare, because a full collection would take tens of
    milliseconds.

    The objects that exist after the start are never garbage, and few later objects are in reference
    cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


@asynccontextmanager
async def running(
    settings: Settings,
    *,
    port_shared: bool = False,
    on_gone: Callable[[Exception], None] = lambda _: None,
    show: Show | None = None,
) -> AsyncIterator[str]:
    """Runs a server while the `with` block runs, and yields the address of the server.

    The parts of the server stop in the reverse order of their start. If `port_shared` is True,
    other processes may serve on the same port. `on_gone` is called again and again while
    `Store.check` raises StoreGone or StoreFailed, and once if the server cannot listen on its
    address any more. `show` serves the metrics of this process; if `show` is None, the metrics are
    served at the address in the settings.
    """
    _check_before_the_store_is_opened(settings, port_shared=port_shared)
    async with AsyncExitStack() as stack:
        store = await _reached(partial(_open, settings))
        stack.push_async_callback(store.close)
        calls = _calls(settings, store, stack)
        _run(_watching(store, on_gone), stack=stack)
        services = await _services(settings, store, stack)
        observe = None
        if settings.metrics:
            observe = _record(services, calls, show or _shown_at(settings), stack)
        _run(services.resetting, stack=stack)
        _run(archiving_loop(store, services.folder), stack=stack)

        health = Health(store, max_watchers=settings.max_streams)
        served = servicers(services)
        add = partial(_add_services, served=served, calls=calls, observe=observe, health=health)
        addresses = _addresses(settings, stack)
        listening = Listening(addresses, add, port_shared=port_shared, on_failed=on_gone)
        address = await listening.start()
        stack.push_async_callback(listening.stop)

        stack.push_async_callback(_drain, calls, seconds=settings.drain_seconds)
        _drain_before_calls(services, stack)
        stack.enter_context(health.serving())
        yield address


def _run(part: Loop | Auditing | Resetting | Watching, *, stack: AsyncExitStack) -> None:
    part.start()
    stack.push_async_callback(part.stop)


async def _services(settings: Settings, store: Store, stack: AsyncExitStack) -> Services:
    """Creates the services. Starts all services except `Resetting`, which `running` starts
    later.
    """
    delivery, waits = Delivery(store), ActionWaits(store)
    presence = Presence(store, lambda: [connected(each) for each in delivery.streams.values()])
    await stack.enter_async_context(presence.announced())
    await stack.enter_async_context(Clock(store, _duties(store, settings)).running())
    watching = Watching(store)
    _run(watching, stack=stack)
    folder = archive_folder(settings.archive_folder, settings.database)
    return Services(store, delivery, waits, presence, watching, Resetting(store), folder)


def _duties(store: Store, settings: Settings) -> tuple[Duty, ...]:
    return duties(
        store.server,
        days_of_entries=settings.reset_entries_days,
        days_of_events=settings.event_days,
        days_of_audit=settings.audit_days,
    )


def _record(services: Services, calls: Calls, show: Show, stack: AsyncExitStack) -> Observe:
    """Begins to record and to serve the metrics. Returns the function that must be called for each
    call that has ended.
    """
    recording = Recording(services.store, services.presence, services.watching)
    _run(recording.loop, stack=stack)
    calls.on_refused_credentials.append(recording.refused_credentials)
    stack.enter_context(show(recording.figures))
    return recording.observe


def _shown_at(settings: Settings) -> Show:
    return lambda figures: shown(settings.metrics_address, lambda: [figures()])


def _watching(store: Store, on_gone: Callable[[Exception], None]) -> Loop:
    async def check() -> None:
        try:
            store.check()
        except (StoreGone, StoreFailed) as gone:
            on_gone(gone)

    return Loop("database file", check, seconds=WATCH_SECONDS)


def _open(settings: Settings) -> Store:
    return open_store(
        settings.database,
        notifications=settings.notifications_database,
        waits=Waits(settings.patience_seconds),
    )


async def _reached(opened: Callable[[], Store]) -> Store:
    """Opens the store. If the database is not reached, for example because the database is starting
    up, tries again, at most ATTEMPTS times.
    """
    for attempt in range(ATTEMPTS):
        try:
            return opened()
        except StoreLost as lost:
            tried = f"{attempt + 1} of {ATTEMPTS + 1}"
            log.warning("database_not_reached", attempt=tried, error=str(lost))
            await asyncio.sleep(ATTEMPT_SECONDS)
    return opened()


def _drain_before_calls(services: Services, stack: AsyncExitStack) -> None:
    """Makes `stack` drain the services when the server stops, before `stack` waits for the running
    calls.
    """
    stack.callback(services.resetting.draining.set)
    stack.callback(services.waits.drain)
    stack.callback(services.watching.drain, SHUTTING_DOWN)
    stack.push_async_callback(services.delivery.drain, SHUTTING_DOWN)


async def _drain(calls: Calls, *, seconds: float) -> None:
    if not await calls.drain(seconds=seconds):
        log.warning("calls_cut_off", seconds=seconds)


def _add_services(
    server: grpc.aio.Server,
    *,
    served: Iterable[tuple[ServiceDescriptor, object]],
    calls: Calls,
    observe: Observe | None,
    health: Health,
) -> None:
    for descriptor, servicer in served:
        add_service(server, descriptor, servicer, calls, observe)
    add_reflection(server, [*[each.full_name for each in SERVICES], HEALTH], calls)
    health.add_to(server)


def _check_before_the_store_is_opened(settings: Settings, *, port_shared: bool) -> None:
    """Raises OSError if a file of the settings is wrong, or if another program uses an address.

    These checks run before the store is opened, so that the server creates no database file if its
    start is refused.
    """
    _check_files(settings)
    if not port_shared:  # the parent process has reserved a shared port
        for listen in filter(None, (settings.listen, settings.listen_tokens)):
            check_free(listen)


def _check_files(settings: Settings) -> None:
    if settings.callers:
        try:
            known_callers(settings.callers)
        except WrongCallers as error:
            add = "" if settings.callers.exists() else "; `generic-provider caller add` creates it"
            raise WrongCallers(f"--callers: {error}{add}") from None
    if settings.tls_certificate and settings.tls_key:
        certificate, key, ca = settings.tls_certificate, settings.tls_key, settings.tls_client_ca
        check_pem(certificate=certificate, key=key, ca=ca)


def _calls(settings: Settings, store: Store, stack: AsyncExitStack) -> Calls:
    auditing = Auditing(store, audit_lines(settings))
    _run(auditing, stack=stack)
    secure, file = settings.tls_certificate is not None, settings.callers
    access = Access({}, secure=secure) if file else None
    calls = Calls(auditing, access=access, secure=secure, max_streams=settings.max_streams)
    if file is None or access is None:
        return calls
    calls.on_refused_credentials.append(auditing.refuse_credentials)

    def read() -> None:
        access.callers = known_callers(file)
        calls.judge_again()

    _run(Rereading("callers", [file], read), stack=stack)
    return calls


def _addresses(settings: Settings, stack: AsyncExitStack) -> list[Address]:
    """Returns every address of the settings, with its credentials. The server announces only the
    first address.
    """
    if settings.tls_certificate is None or settings.tls_key is None:
        return [(settings.listen, None)]
    certificates = Certificates(
        certificate=settings.tls_certificate, key=settings.tls_key, ca=settings.tls_client_ca
    )
    _run(Rereading("certificates", certificates.files, certificates.read), stack=stack)
    of_clients = settings.tls_client_ca is not None
    own = partial(certificates.credentials, of_clients=of_clients)
    addresses: list[Address] = [(settings.listen, own)]
    if settings.listen_tokens:
        # gRPC for Python cannot make a client certificate optional, so there are two addresses
        without = partial(certificates.credentials, of_clients=False)
        addresses.append((settings.listen_tokens, without))
    return addresses
