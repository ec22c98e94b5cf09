"""Runs one server process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import click

from .config import Settings
from .metrics.showing import Show
from .store.database.engine import (
    StoreFailed,
    StoreGone,
    StoreInUse,
    StoreLost,
    TooOld,
    UnsupportedDatabase,
)


class Gone(click.ClickException):
    """The database file was removed or replaced, or this version must not use the database any
    more. Programs must not start the server again after this error: a new process would create an
    empty database file, or would stop with the same error.
    """

    exit_code = 3


def run_one(
    settings: Settings,
    *,
    on_serving: Callable[[str], None],
    port_shared: bool = False,
    show: Show | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT. Raises ClickException if the process cannot serve."""
    from .app import serve  # noqa: PLC0415

    serving = serve(settings, on_serving=on_serving, port_shared=port_shared, show=show)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(serving)
    except (StoreGone, TooOld) as error:
        raise Gone(str(error)) from error
    except (StoreFailed, StoreInUse, StoreLost, UnsupportedDatabase) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        said = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        raise click.ClickException(said) from error


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Returns the factory of uvloop's event loop, which is faster than the loop of asyncio; None if
    uvloop is not installed.
    """
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        return None
    return uvloop.new_event_loop
