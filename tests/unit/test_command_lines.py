"""A command line that a command recommends connects to the same server as that command, and names
the roles that may run it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from generic_provider_server.cli.connecting.options import connection_options
from generic_provider_server.desk.command_lines import ROLES, advised, command
from generic_provider_server.desk.output import say
from generic_provider_server.rpc.access import ALLOWED

CERTIFICATES = Path(__file__).parents[1] / "e2e" / "certificates"
CA = f"--ca {CERTIFICATES / 'ca.pem'}"
PAIR = f"--cert {CERTIFICATES / 'crm.pem'} --key {CERTIFICATES / 'crm.key'}"
CALLS = {
    ("action",): "PerformAction",
    ("platform", "report"): "ReportPlatformState",
    ("provider", "set-state"): "SetProviderState",
    ("request", "cancel"): "CancelRequest",
    ("reset", "run", "approve"): "ApproveResetRun",
    ("reset", "run", "cancel"): "CancelResetRun",
    ("reset", "subscription"): "ResetSubscription",
}


@click.command()
@click.argument("key")
@connection_options()
def explain(**_: Any) -> None:
    say(command("health"))


@pytest.mark.parametrize(
    ("typed", "repeated"),
    [
        ("", ""),
        ("--server=other:1", "--server other:1"),
        ("--server other:1 --insecure", "--server other:1 --insecure"),
        (f"--profile=desk {CA} {PAIR}", f"{CA} {PAIR} --profile desk"),
        ("--token secret --server other:1", "--server other:1"),
    ],
)
def test_an_advised_command_repeats_the_connection_that_was_typed_without_the_token(
    tmp_path: Path, typed: str, repeated: str
) -> None:
    (tmp_path / ".config").mkdir()
    (tmp_path / ".config" / "generic-provider.toml").write_text("[desk]\n")
    known = {"HOME": str(tmp_path), "GENERIC_PROVIDER_SERVER": "usual:1"}

    told = CliRunner().invoke(explain, ["K", *typed.split()], env=known, catch_exceptions=False)

    assert told.stdout.split() == ["generic-provider", "health", *repeated.split()]


def test_an_advised_command_names_the_roles_that_may_run_it() -> None:
    named = {start: {*roles.split(" or ")} for start, roles in ROLES.items()}
    plain = {start: {role.partition(":")[0] for role in roles} for start, roles in named.items()}
    assert plain == {start: {*ALLOWED[call]} for start, call in CALLS.items()}
    cancel = advised("if it can never succeed", "request", "cancel", "R1")
    assert cancel == "if it can never succeed [role operator]: generic-provider request cancel R1"
    assert advised("see", "request", "show", "R 1") == "see: generic-provider request show 'R 1'"
