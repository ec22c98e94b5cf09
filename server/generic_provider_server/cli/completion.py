"""`generic-provider completion` prints completion scripts for shells."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")
PROGRAM = "generic-provider"


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, *, shell: str) -> None:
    """Print the script that completes commands in a shell.

    E.g. in ~/.bashrc: eval "$(generic-provider completion bash)"
    """
    made = get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"no completion for {shell}")
    variable = f"_{PROGRAM}_COMPLETE".replace("-", "_").upper()
    click.echo(made(context.find_root().command, {}, PROGRAM, variable).source())
