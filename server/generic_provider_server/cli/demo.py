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
    help="Play on this running server. Without it the demo starts one of its own.",
)
def demo(server: str) -> None:
    """Show the main job from end to end, within a minute.

    In real processes, a provider is set up, families subscribe, a rule refuses, the platform
    rejects, a swap is rolled back, an adapter is killed; then the account is made up.
    """
    try:
        well = play(server)
    except (NotStarted, TimeoutError) as error:
        raise click.ClickException(str(error)) from error
    sys.exit(0 if well else REFUSED)
