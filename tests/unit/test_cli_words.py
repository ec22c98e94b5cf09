"""Tests how the command line shows messages of the server, and entries of the audit trail."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from generic_provider import AuditEntry, InvalidField, ProvisioningError
from generic_provider.v1.errors_pb2 import FieldViolation
from generic_provider_server.cli.action import action
from generic_provider_server.cli.audit import COLUMNS
from generic_provider_server.cli.field_options import naming_options
from generic_provider_server.conformance.rules import RuleVerdict
from support.command_line import run


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("must be after start_time", "must be after --start-time"),
        ("set schedule_time, or wait", "set --at, or wait"),
        ("is required unless request_id is given", "is required unless --request-id is given"),
        ("provider 'start_time' has no goods_type", "provider 'start_time' has no goods_type"),
    ],
)
def test_a_message_names_the_options_of_the_command(said: str, shown: str) -> None:
    add_usage = action.commands["add-usage"]
    refused = naming_options(ProvisioningError(said, reason="R"), add_usage)
    assert (refused.message, refused.reason) == (shown, "R")
    wrong = InvalidField("", violations=[FieldViolation(field="usage.end_time", description=said)])
    (violation,) = naming_options(wrong, add_usage).violations
    assert (violation.field, violation.description) == ("--end-time", shown)


@pytest.mark.parametrize(
    ("command", "field", "option", "said"),
    [
        (
            *("become-subscriber", "services[1].provider", "--service (number 2)"),
            "names no provider: write PROVIDER:DISTRIBUTOR:SERVICE, or give --provider",
        ),
        (
            *("add-items", "items[0].provider", "--item"),
            "names no provider: write PROVIDER:DISTRIBUTOR:GOODS_TYPE:SERIAL_NUMBER",
        ),
        ("swap-service", "provider", "--provider", "is required: which"),
    ],
)
def test_a_part_without_a_provider_shows_how_to_name_it(
    command: str, field: str, option: str, said: str
) -> None:
    wrong = FieldViolation(field=field, description="is required: which")
    shown = naming_options(InvalidField("", violations=[wrong]), action.commands[command])
    (violation,) = shown.violations
    assert (violation.field, violation.description) == (option, said)


@pytest.mark.parametrize(
    ("entry", "shown"),
    [
        (AuditEntry(done=1), "OK"),
        (AuditEntry(refused=1), "OK (1 refused)"),
        (AuditEntry(done=2, refused=3), "OK (2 done, 3 refused)"),
        (AuditEntry(code=7, refused=1), "PERMISSION_DENIED"),
        (AuditEntry(code=7, refused=4), "PERMISSION_DENIED (4 refused)"),
    ],
)
def test_an_entry_shows_how_much_of_a_call_was_refused(entry: AuditEntry, shown: str) -> None:
    assert COLUMNS["outcome"](entry) == shown


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("--json provider list", "give the option --json after the command"),
        ("--server x provider list", "give the option --server after the command"),
        ("--profile x backlog", "give the option --profile after the command"),
        ("action --json list", "give the option --json after the command"),
        ("--versoin", "No such option '--versoin'. Did you mean '--version'?"),
    ],
)
def test_an_option_in_front_of_its_command_belongs_after_it(typed: str, said: str) -> None:
    refused = run(*typed.split())
    assert refused.exit_code == 2
    assert refused.stderr.endswith(f"\nError: {said}\n")


def test_a_similar_command_is_suggested_for_an_unknown_one() -> None:
    refused = run("acton", "list")
    assert refused.stderr.endswith("\nError: No such command 'acton'. Did you mean 'action'?\n")
    assert run("xyz").stderr.endswith("\nError: No such command 'xyz'.\n")


@pytest.mark.parametrize("what", ["status", "upgrade"])
def test_a_database_that_is_not_reached_is_told_on_one_line(what: str) -> None:
    refused = run("database", what, "--database=postgresql://127.0.0.1:1/name")
    assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1)


def test_a_missing_database_can_be_given_by_name(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'none.db'}"
    refused = run("database", "status", f"--database={url}")
    said = f"Error: there is no database {url}; name another one with --database\n"
    assert (refused.exit_code, refused.stderr) == (1, said)


def test_the_table_of_adapter_check_shows_verdicts(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = RuleVerdict(1, "keep one stream open", "kept", "reconnected 3 times")
    monkeypatch.setattr(
        "generic_provider_server.cli.adapter_check._verdicts", lambda *_, **__: ([kept], True)
    )
    heading, row = run("adapter", "check").stdout.splitlines()
    assert heading.split() == ["rule", "asks", "verdict", "seen"]
    assert row.rstrip().endswith(kept.seen)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("reset run preview U0000000001", "U0000000001 is a reset run; give a definition"),
        ("reset run watch D0000000002", "D0000000002 is a definition of reset runs; give a reset"),
        ("reset run cancel D0000000002", "`reset run set-state D0000000002 not-effective` stops"),
        ("action get R0000000003", "R0000000003 is a request; give an action (A…)"),
        ("action get ''", "ACTION is empty"),
        ("request show A0000000004", "A0000000004 is an action; give a request (R…)"),
        ("request list --reset-run D0000000002", "give a reset run (U…)"),
        ("archive download R0000000003", "give an archive (Z…)"),
        ("archive show {file} --checksum abc", "abc is not a SHA-256, which has 64 hex"),
        ("reset run define --provider P --at 2001-01-01T00:00Z", "00:00:00Z is in the past"),
    ],
)
def test_a_wrong_value_is_refused_before_the_server_is_called(
    typed: str, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.touch()
    refused = run(*shlex.split(typed.format(file=file)))
    assert refused.exit_code == 2
    assert said in refused.stderr


@pytest.mark.parametrize(
    "typed",
    [
        ("request", "list", "--created-from=9999-12-31T23:59:59-14:00"),
        ("action", "rest", "S1", "--until=0001-01-01T00:00+14:00"),
        ("archive", "create", "--older-than=99999999999d"),
        ("subscription", "list", "--timeout=inf"),
        ("health", "--timeout=1e300"),
        ("request", "tail", "--interval=nan"),
        ("adapter", "simulate", "--provider=P", "--delay=1e300"),
        ("adapter", "check", "--patience=inf"),
        ("adapter", "check", "--listen=nowhere"),
        ("adapter", "simulate", "--provider=P", "--lease=nan"),
        ("action", "get", "A0000000001", "--wait=nan"),
    ],
)
def test_a_time_or_span_that_no_calendar_has_is_wrong_usage(typed: tuple[str, ...]) -> None:
    refused = run(*typed)
    assert refused.exit_code == 2
    assert "Error: Invalid value for '--" in refused.stderr


@pytest.mark.parametrize(
    "typed",
    [
        "reset run define --provider=P --first=4294967296",
        "reset run edit D0000000001 --pace=4294967296",
        "action activate S1 --expected-revision=18446744073709551616",
        "action add-usage S1 --quantity=9223372036854775808",
        "request tail --last=2147483648",
        "subscription list --limit=99999999999999999999",
    ],
)
def test_a_number_that_no_message_can_hold_is_wrong_usage(typed: str) -> None:
    refused = run(*typed.split())
    assert refused.exit_code == 2
    assert "Error: Invalid value for '--" in refused.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--provider=",), "'--provider': provider must not be empty"),
        (("--provider=P", f"--name={'a' * 65}"), "'--name': name must have at most 64 characters"),
    ],
)
def test_a_code_of_an_adapter_that_no_server_accepts_is_wrong_usage(
    options: tuple[str, ...], said: str
) -> None:
    refused = run("adapter", "simulate", *options)
    assert refused.exit_code == 2
    assert f"Error: Invalid value for {said}" in refused.stderr


@pytest.mark.parametrize(
    ("option", "needs"),
    [("--holds-everything", "--existing"), ("--term-end=2030-01-01", "--service")],
)
def test_an_option_about_others_that_are_missing_is_wrong_usage(option: str, needs: str) -> None:
    refused = run("action", "become-subscriber", "--type=DTH", option)
    assert refused.exit_code == 2
    assert refused.stderr.endswith(f" needs {needs}\n")


@pytest.mark.parametrize(
    "typed", [("caller", "remove", "ann", "--callers"), ("adapter", "memory", "--memory")]
)
def test_a_file_that_is_a_loop_of_links_is_named(typed: tuple[str, ...], tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    refused = run(*typed, str(loop))
    assert refused.exit_code in (1, 2)
    assert str(loop) in refused.stderr
