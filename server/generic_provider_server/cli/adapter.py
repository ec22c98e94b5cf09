"""`generic-provider adapter` simulates a platform, and tests adapters."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from generic_provider import Adapter, Client, PermissionDenied

from ..desk.output import Output, counted, json_line, say, short_line
from ..simulator.adapter import Behaviour, simulate
from ..simulator.comparison import differences
from ..simulator.platform import platform_in
from ..simulator.reporting import reported
from ..simulator.rules import WrongRule, rule_of
from .adapter_check import check
from .connecting.connection import Connection
from .connecting.options import connection_options
from .failures import REFUSED
from .remote import remote
from .values import Number, Seconds

SHARE = Number(0, 1)


memory_option = click.option(
    "--memory",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=Path("platform.db"),
    show_default=True,
    help="The file with the contents of a simulated platform.",
)


def _code(_: click.Context, parameter: click.Parameter, value: str) -> str:
    codes: dict[str, Any] = {"provider": "P", "name": "a", str(parameter.name): value}
    try:
        Adapter("localhost:1", **codes)
    except ValueError as wrong:
        raise click.BadParameter(str(wrong)) from None
    return value


@click.group()
def adapter() -> None:
    """Simulate a platform with its adapter, or test your adapter."""


@adapter.command("simulate")
@connection_options()
@click.option("--provider", required=True, callback=_code, help="The provider to serve.")
@click.option(
    "--name", default="simulator", show_default=True, callback=_code, help="The adapter's name."
)
@click.option(
    "--memory",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("platform.db"),
    show_default=True,
    help="The file for the platform's contents. Several adapters may share it.",
)
@click.option(
    "--reject",
    "rejections",
    multiple=True,
    metavar="TYPE[:WHAT]=CODE[:TEXT]",
    help="Reject requests of a type (* = any) about a service, item, distributor or usage, "
    "e.g. 'ACTIVATE_SERVICE:FILM=E42:not on this card'. May be repeated.",
)
@click.option("--delay", type=Seconds(0), default=0, help="The seconds that each request takes.")
@click.option(
    "--fail", type=SHARE, default=0, help="The share of requests that are answered RETRY_LATER."
)
@click.option(
    "--lose",
    type=SHARE,
    default=0,
    help="The share of requests whose answer is lost after they were applied.",
)
@click.option(
    "--die-after",
    type=click.IntRange(0),
    default=0,
    help="End without an answer after this number of applied requests.",
)
@click.option(
    "--freeze-after",
    type=click.IntRange(0),
    default=0,
    help="Stop reacting after this number of applied requests.",
)
@click.option(
    "--max-in-flight",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    help="The greatest number of unanswered requests.",
)
@click.option(
    "--lease", type=Number(1, 3600), default=30, help="The duration of leases in seconds."
)
def simulate_(
    *,
    connection: Connection,
    provider: str,
    name: str,
    memory: Path,
    rejections: tuple[str, ...],
    delay: float,
    max_in_flight: int,
    lease: float,
    **faults: Any,
) -> None:
    """Serve a provider with a simulated platform, until Ctrl-C.

    The platform rejects the requests that a real platform would reject, and has the faults that the
    options name.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    try:
        rules = tuple([rule_of(text) for text in rejections])
    except WrongRule as error:
        raise click.BadParameter(str(error), param_hint="--reject") from None
    simulate(
        connection.server,
        on_connect=lambda: say(
            f"{name} is connected to {connection.server} and waits for requests of {provider}"
        ),
        token=connection.token,
        tls=connection.tls(warns=True),
        provider=provider,
        name=name,
        memory=memory,
        behaviour=Behaviour(rules=rules, delay=timedelta(seconds=delay), **faults),
        max_in_flight=max_in_flight,
        lease_duration=timedelta(seconds=lease),
    )


@adapter.command()
@memory_option
@click.option("--journal", is_flag=True, help="Print all applied and rejected requests, in order.")
@click.option("--report", is_flag=True, help="Print the contents as lines for `platform report`.")
def memory(*, memory: Path, journal: bool, report: bool) -> None:
    """Print the contents of a simulated platform."""
    with platform_in(memory) as platform:
        if report:
            for subscriber in reported(platform):
                say(short_line(subscriber))
            return
        if journal:
            for line in platform.journal():
                say("  ".join(line))
            return
        for number in platform.subscriptions():
            holds = platform.holds(number) or {}
            say(f"{number}  {holds['holder']}")
            for kind in ("items", "services", "usages"):
                for text in holds[kind]:
                    say(f"  {kind.removesuffix('s'):<8} {text}")


@adapter.command()
@click.option("--provider", required=True, help="The provider of the platform.")
@memory_option
@remote
def compare(client: Client, output: Output, *, provider: str, memory: Path) -> None:
    """Compare a simulated platform with the CRM.

    Prints every subscription that is not IN_SYNC, or that the CRM shows as IN_SYNC although
    the platform differs. Also prints every subscriber that the CRM does not know.
    """
    with platform_in(memory) as platform:
        with suppress(PermissionDenied):
            client.get_provider(provider)  # otherwise a wrong code would seem to have differences
        wrong = list(differences(client, platform, provider=provider))
        number = len(platform.subscriptions())
    for line in wrong:
        say(json_line({"difference": line}) if output.as_json else line)
    found = counted(len(wrong), "difference")
    say(f"{counted(number, 'subscriber')} on the platform, {found}", err=True)
    if wrong:
        sys.exit(REFUSED)


adapter.add_command(check)
