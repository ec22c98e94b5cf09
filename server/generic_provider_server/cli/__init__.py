"""The command `generic-provider`. Its commands are nouns with verbs; each noun has a module."""

from __future__ import annotations

import sys

import click

from . import (
    action,
    adapter,
    adapters,
    archive,
    backlog,
    completion,
    database,
    demo,
    platform,
    provider,
    request,
    reset,
    serve,
    subscription,
)
from .failures import told
from .streams import output_written, prepare_streams, refuse_undecoded

__all__ = ["generic_provider", "main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="generic-provider", message="%(prog)s %(version)s")
def generic_provider() -> None:
    """Stands between a pay-TV CRM and its CAS and OTT platforms.

    `generic-provider serve` runs the server; the other commands talk to a running one.

    \b
    Exit codes: 0 done, 1 refused, 2 wrong usage, 3 server not reached.
    """


generic_provider.add_command(serve.serve)
generic_provider.add_command(provider.provider)
generic_provider.add_command(subscription.subscription)
generic_provider.add_command(action.action)
generic_provider.add_command(request.request)
generic_provider.add_command(reset.reset)
generic_provider.add_command(archive.archive)
generic_provider.add_command(backlog.backlog)
generic_provider.add_command(adapters.adapters)
generic_provider.add_command(adapter.adapter)
generic_provider.add_command(platform.platform)
generic_provider.add_command(database.database)
generic_provider.add_command(demo.demo)
generic_provider.add_command(completion.completion)


def main() -> None:
    prepare_streams()
    with told(), output_written():
        refuse_undecoded(sys.argv)
        generic_provider(prog_name="generic-provider")
