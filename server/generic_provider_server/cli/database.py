"""`generic-provider database` shows and upgrades the schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from ..desk.output import say, show_table
from ..options import DESCRIBED
from ..store.database.engine import UNREADABLE, StoreInUse, StoreLost, UnsupportedDatabase
from ..store.database.failures import in_one_line
from ..store.database.migrate import NEWEST
from ..store.database.migrate import status as status_of
from ..store.opening import engine_of, reader_of

Result = TypeVar("Result")
DATABASE = DESCRIBED["database"]

url_option = click.option(
    "--database",
    "url",
    default=DATABASE.default,
    envvar=DATABASE.variable,
    show_default=True,
    metavar="TEXT",
    help=f"{DATABASE.description}  [{DATABASE.variable}]",
)


@click.group()
def database() -> None:
    """Show and upgrade the schema of a database.

    `generic-provider serve` also upgrades the schema, in the first process that starts.
    """


@database.command()
@url_option
def upgrade(*, url: str) -> None:
    """Upgrade the schema to the version of this program. Run the command before servers of this
    version start.

    On SQLite no server may run during the upgrade; on PostgreSQL servers may run.
    """
    done = _without_traceback(lambda: _upgraded(url))
    for name in done:
        say(f"done: {name}")
    say("The schema is up to date.")
    if len(done) == NEWEST:
        say("The database was new or empty. If you expected data in it, check --database.")


@database.command()
@url_option
def status(*, url: str) -> None:
    """Show every change of the schema with its time.

    The exit code is 1 if changes are pending.
    """
    changes = _without_traceback(lambda: _status(url))
    show_table(("change", "made"), changes)
    if any(made == "pending" for _, made in changes):
        raise click.ClickException(
            "changes are pending; run `database upgrade` with the same --database"
        )


def _upgraded(url: str) -> list[str]:
    engine = engine_of(url)
    try:
        return list(engine.prepare())
    finally:
        engine.close()


def _status(url: str) -> list[tuple[str, str]]:
    found = reader_of(url)
    try:
        return status_of(found)
    finally:
        found.close()


def _without_traceback(work: Callable[[], Result]) -> Result:
    try:
        return work()
    except (UnsupportedDatabase, StoreInUse, StoreLost) as error:
        raise click.ClickException(str(error)) from error
    except UNREADABLE as error:
        text = f"the database cannot be read: {in_one_line(error)}"
        raise click.ClickException(text) from error
