"""`generic-provider serve` runs the server; every setting has an option."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ..config import Settings
from ..desk.output import say, show_table
from ..options import DESCRIBED, PREFIX, Described, InForce, WrongSettings, read_settings
from ..running import run_one
from ..workers import run_workers
from .failures import cause

F = TypeVar("F", bound=Callable[..., Any])
METAVARS: dict[Any, str] = {str: "TEXT", int: "NUMBER", float: "SECONDS", Path | None: "FILE"}


def setting_options(command: F) -> F:
    for setting in reversed([*DESCRIBED.values()]):
        command = _option(setting)(command)
    return command


def _option(setting: Described) -> Callable[[F], F]:
    switch = setting.plain is bool
    return click.option(
        f"{setting.option}/--no-{setting.name}" if switch else setting.option,
        setting.name,
        default=None,
        metavar=None if switch else "|".join(setting.choices) or METAVARS[setting.plain],
        help=f"{setting.description}{_default(setting)}  [{setting.variable}]",
    )


def _default(setting: Described) -> str:
    return "" if setting.default in (None, False, "") else f" Default: {setting.default}."


@click.command()
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    envvar=f"{PREFIX}CONFIG",
    help="A TOML file with settings. A setting has the name of its option, with _ in place of -."
    f"  [{PREFIX}CONFIG]",
)
@setting_options
@click.option(
    "--print-settings", is_flag=True, help="Print the settings and their origins, and exit."
)
def serve(*, config: Path | None, print_settings: bool, **options: object) -> None:
    """Run the server until SIGTERM or Ctrl-C.

    The value of a setting is the first of these that is given: its option, the environment variable
    in brackets, the value in the file, the default.
    """
    try:
        in_force = read_settings(options, file=config)
    except WrongSettings as error:
        raise click.UsageError(str(error)) from None
    if print_settings:
        _print(in_force)
        return
    _run(in_force.settings)


def _print(in_force: InForce) -> None:
    show_table(("setting", "value", "from"), in_force.rows())


def _run(settings: Settings) -> None:
    if settings.workers > 1:
        run_workers(settings)
    else:
        run_one(settings, on_serving=_announce)


def _announce(address: str) -> None:
    try:
        say(f"serving on {address}")
    except OSError as error:
        raise click.ClickException(cause(error)) from error
