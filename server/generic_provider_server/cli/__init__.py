"""The command `generic-provider`. Most subcommands consist of a noun and a verb. Each noun has a
module.
"""

from __future__ import annotations

import sys
from difflib import get_close_matches
from importlib import import_module

import click

from .failures import failures_printed
from .streams import output_written, prepare_streams, refuse_undecoded

__all__ = ["generic_provider", "main"]

COMMANDS = (
    "action",
    "adapter",
    "adapters",
    "archive",
    "audit",
    "backlog",
    "caller",
    "completion",
    "database",
    "demo",
    "events",
    "health",
    "platform",
    "provider",
    "request",
    "reset",
    "serve",
    "subscription",
)


class _Commands(click.Group):
    """Imports the module of a command only when the command is called, because the import of all
    modules takes long.
    """

    def list_commands(self, _: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f".{cmd_name}", __name__), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Like click's method, but suggests a similar command. Click does not know the commands,
        because `commands` is empty.
        """
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = get_close_matches(args[0], COMMANDS, n=1)
            if not near:
                raise
            raise click.UsageError(f"{error.message} Did you mean {near[0]!r}?", ctx) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="generic-provider", message="%(prog)s %(version)s")
def generic_provider() -> None:
    """Connects a pay-TV CRM with its CAS and OTT platforms.

    `generic-provider serve` runs the server; most other commands connect to a running server.

    \b
    Exit codes: 0 done, 1 refused, 2 wrong usage, 3 server not reached.
    """


def main() -> None:
    prepare_streams()
    with failures_printed(), output_written():
        refuse_undecoded(sys.argv)
        sys.exit(generic_provider(prog_name="generic-provider", standalone_mode=False))
