"""Defines the command `demo`."""

from __future__ import annotations

import sys

import click

from ..demo import play
from ..demo.processes import NotStarted
from .connecting.connection import Connection
from .connecting.options import connection_options
from .failures import REFUSED


@click.command()
@connection_options(default=None)
def demo(*, connection: Connection) -> None:
    """Demonstrate the service from end to end within a minute.

    The demo runs real processes. Without --server it starts a server of its own. The demo
    configures a provider, and creates the subscriptions of four families. The demo shows an action
    that breaks a rule, a rejection by the platform, the rollback of a swap, a killed adapter, and a
    reset run after an outage. At the end, the demo checks the results.
    """
    try:
        well = play(
            connection.server,
            token=connection.token,
            tls=connection.tls(),
            environment=connection.environment(),
        )
    except (NotStarted, TimeoutError) as error:
        raise click.ClickException(str(error)) from error
    sys.exit(0 if well else REFUSED)
