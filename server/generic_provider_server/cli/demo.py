from __future__ import annotations

import sys

import click

from ..demo import play
from ..demo.processes import NotStarted
from .failures import REFUSED


@click.command()
@click.option(
    "--server",
    metavar="HOST:PORT",
    default="",
    help="Use this running server. Without it the demo starts one of its own.",
)
def demo(server: str) -> None:
    """Show from end to end what the service does, within a minute.

    The demo runs real processes. It configures a provider, subscribes families, and shows an action
    that breaks a rule, a rejection by the platform, the rollback of a swap, and a killed adapter.
    Then it checks the results.
    """
    try:
        well = play(server)
    except (NotStarted, TimeoutError) as error:
        raise click.ClickException(str(error)) from error
    sys.exit(0 if well else REFUSED)
