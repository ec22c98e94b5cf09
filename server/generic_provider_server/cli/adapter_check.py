"""`generic-provider adapter check` tests an adapter in any language."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

import click

from generic_provider import RequestType

from ..config import address_of
from ..conformance.check import NotJudged, checking
from ..conformance.junit import write_junit
from ..conformance.named_parts import Offer, offer_of
from ..conformance.rules import RuleVerdict
from ..conformance.scenario_steps import Terms
from ..desk.output import json_line, say, show_table
from .failures import REFUSED
from .files.provider_file import read_provider
from .files.text import FILE
from .values import Named, NamedOption, Seconds

INCOMPLETE = "the adapter refused requests that tests need, so the check is not complete"


def _address(ctx: click.Context, param: click.Parameter, listen: str) -> str:
    try:
        address_of(listen, option="--listen", example="127.0.0.1:50052")
    except ValueError:
        raise click.BadParameter(f"{listen!r} is not HOST:PORT", ctx, param) from None
    return listen


@click.command()
@click.option(
    "--listen",
    callback=_address,
    default="127.0.0.1:50052",
    show_default=True,
    metavar="HOST:PORT",
    help="The address for the adapter, without TLS. Port 0 means a free port.",
)
@click.option(
    "--provider-file",
    type=FILE,
    help="The TOML file of the provider, as for `provider apply`. The check uses the services "
    "and goods in the file. Without a file, the check uses a SMARTCARD on MAIN.",
)
@click.option(
    "--service",
    help="A service that the platform can switch on. Default: the first service of "
    "--provider-file, or SPORT.",
)
@click.option(
    "--rejecting", metavar="SERVICE", help="A service whose requests the adapter rejects."
)
@click.option(
    "--down",
    metavar="SERVICE",
    help="A service for whose requests the adapter behaves as if the platform were down.",
)
@click.option(
    "--slow-type",
    cls=NamedOption,
    type=Named(RequestType),
    help="A request type. The adapter needs more than a second for each request of this type.",
)
@click.option(
    "--patience",
    type=Seconds(),
    default=35,
    show_default=True,
    help="The seconds to wait for each answer, and each other step, of the adapter.",
)
@click.option(
    "--wait",
    type=Seconds(),
    default=60,
    show_default=True,
    help="The seconds to wait for the adapter's first connection.",
)
@click.option(
    "--slow", is_flag=True, help="Add the tests that take minutes, e.g. with a server that hangs."
)
@click.option(
    "--junit",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Also write the verdicts to FILE, in the format of JUnit.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each rule.")
def check(
    *,
    listen: str,
    provider_file: Path | None,
    service: str | None,
    rejecting: str | None,
    down: str | None,
    slow_type: str | None,
    patience: float,
    wait: float,
    slow: bool,
    junit: Path | None,
    as_json: bool,
) -> None:
    """Test your adapter with a server that causes faults. Checks the rules of docs/adapters.md.

    The server invents its subscribers: connect the adapter to a test platform. The exit code is 1
    if the adapter breaks a rule, refuses a request that tests need, or does not connect.
    """
    terms = Terms(
        offer=_offer(provider_file, service),
        rejecting=rejecting,
        down=down,
        slow_type=None if slow_type is None else RequestType.value_of(slow_type),
        patience=timedelta(seconds=patience),
        first_stream=timedelta(seconds=wait),
        slow=slow,
    )
    verdicts, is_complete = _verdicts(listen, terms, junit=junit, as_json=as_json)
    if as_json:
        for verdict in verdicts:
            say(json_line(verdict._asdict()))
    else:
        show_table(("rule", "asks", "verdict", "seen"), verdicts)
    if not is_complete:
        raise click.ClickException(INCOMPLETE)
    if any(verdict.word == "broken" for verdict in verdicts):
        sys.exit(REFUSED)


def _verdicts(
    listen: str, terms: Terms, *, junit: Path | None, as_json: bool
) -> tuple[list[RuleVerdict], bool]:
    """Runs the check, and returns the results of `_check`. If `junit` is given, also writes the
    verdicts to this file.
    """
    if junit:
        # If the file cannot be written, the command fails now and not after the check.
        junit.touch()
    try:
        verdicts, is_complete = asyncio.run(_check(listen, terms, as_json=as_json))
    except NotJudged as error:
        if junit:
            write_junit([], junit, error=str(error))
        raise click.ClickException(str(error)) from None
    if junit:
        write_junit(verdicts, junit, error="" if is_complete else INCOMPLETE)
    return verdicts, is_complete


def _offer(file: Path | None, service: str | None) -> Offer:
    try:
        return offer_of(read_provider(file) if file else None, service)
    except ValueError as wrong:
        raise click.BadParameter(str(wrong), param_hint="--service") from None


async def _check(listen: str, terms: Terms, *, as_json: bool) -> tuple[list[RuleVerdict], bool]:
    """Runs the check. Returns the verdict on each rule, and whether the adapter accepted all
    requests that the tests need. Prints the progress: on standard error if `as_json` is True,
    otherwise on standard output.
    """
    from ..listening import check_free  # noqa: PLC0415 - imports the server's log

    check_free(listen)
    async with checking(listen, terms=terms) as played:
        say(f"waiting for an adapter on {played.address}", err=as_json)
        say(f"testing {await played.connected()}", err=as_json)
        verdicts = await played.verdicts(tell=lambda name: say(f"  {name}", err=as_json))
        return verdicts, played.complete
