from __future__ import annotations

import json
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import click
import pytest

from generic_provider import Account, Client, actions
from generic_provider_server.cli import generic_provider
from support.command_line import run, run_process
from support.processes import Server, simulated_adapter, wait_until

PROVIDER = """
code = "SMALL"
display_name = "Small Co."
distributors = [{ code = "MAIN" }, { code = "TWIN1", required_distributor = "MAIN" }]
services = [{ code = "SPORT", provider_service_id = "1001" }]
delivery_settings = { pending_window = "3 d" }
"""
CREATED = """\
SMALL created, EFFECTIVE
  distributors  MAIN, TWIN1
  services      SPORT
"""


def test_the_help_cuts_off_no_description_of_a_command() -> None:
    def groups(group: click.Group, *path: str) -> Iterator[tuple[str, ...]]:
        yield path
        context = click.Context(group)
        for name in group.list_commands(context):
            each = group.get_command(context, name)
            if isinstance(each, click.Group):
                yield from groups(each, *path, name)

    for path in groups(generic_provider):
        shown = run(*path, "--help", COLUMNS="80").stdout
        assert "...\n" not in shown.partition("Commands:\n")[2], path


def test_the_demo_tells_the_main_job_and_finds_all_well() -> None:
    told = run_process("demo")

    assert told.returncode == 0, told.stdout + told.stderr
    for expected in ("REQUIRED_DISTRIBUTOR_MISSING", "PARTLY_REJECTED", "(correction)", "SIGKILL"):
        assert expected in told.stdout
    assert told.stdout.count("CRM gets event") == 2
    assert told.stdout.count("✓") == 4


def test_the_demo_plays_on_a_running_server_again_and_again(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        for _ in range(2):
            told = run_process("demo", "--server", server.address)
            assert told.returncode == 0, told.stdout + told.stderr


def test_a_provider_is_applied_changed_listed_shown_and_set_not_effective(tmp_path: Path) -> None:
    file = tmp_path / "small.toml"
    file.write_text(PROVIDER)
    with Server(tmp_path) as server:
        said = run("provider", "apply", str(file), "--effective", server=server)
        assert said.stdout == CREATED, said.stderr
        assert run("provider", "apply", str(file), server=server).stdout.startswith(
            "SMALL unchanged"
        )
        file.write_text(PROVIDER.replace("Small", "Smaller"))
        dry = run("provider", "apply", str(file), "--dry-run", server=server)
        planned = dry.stdout
        assert dry.stderr.startswith("The server has not checked these changes. ")
        updated = run("provider", "apply", str(file), server=server).stdout
        assert updated.startswith("SMALL updated")
        assert updated.split("\n")[1:] == planned.split("\n")[1:]
        assert '+display_name = "Smaller Co."' in updated
        shown = run("provider", "show", "SMALL", server=server).stdout
        assert "Smaller Co." in shown
        assert "TWIN1" in shown
        assert "requires MAIN" in shown
        listed = run("provider", "list", "--json", server=server).stdout
        assert json.loads(listed)["delivery_settings"]["pending_window"] == "259200s"
        set_state = run("provider", "set-state", "SMALL", "not-effective", server=server)
        assert set_state.stdout.startswith("SMALL NOT_EFFECTIVE: actions change the CRM only")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("codes = 'X'", "wrong.toml:\ncodes: unknown key; did you mean code?\ncode: is required"),
        ("code = 1", "code: 1 is not a text"),
        ("code = ", "Invalid value"),
        (
            "services = [{ parameters = { a = 1, b = 2 } }]",
            "services[0].parameters.a: 1 is not a text\nservices[0].parameters.b: 2 is not a text",
        ),
        ("goods = [{}, 1, 2]", "\ngoods[1]: 1 is not a table\ngoods[2]: 2 is not a table"),
        (
            "distributors = [{ required_goods_types = ['A', 5] }]",
            "\ndistributors[0].required_goods_types[1]: 5 is not a text",
        ),
        ("[delivery_settings]\npending_window = '3 weeks'", "is not a span"),
        ("[[services]]\nkind = 'FREE'", "services[0].kind: 'FREE' is not one of TERMED, USAGE"),
    ],
)
def test_a_wrong_file_is_refused_with_what_is_wrong(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(text)

    refused = run("provider", "apply", str(file))

    assert refused.exit_code == 2
    assert said in refused.stderr


def test_the_mistakes_of_a_file_are_reported_together_with_the_paths_of_the_file(
    tmp_path: Path,
) -> None:
    file = tmp_path / "wrong.toml"
    with Server(tmp_path) as server:
        file.write_text("kode = 'X'\n[[services]]\ncode = 5\n")
        own = run("provider", "apply", str(file), server=server)
        file.write_text("code = 'X'\nservices = [{ code = 'A', provider_service_id = '1' }, {}]\n")
        servers = run("provider", "apply", str(file), server=server)

        file.write_text("code = 'X '\n")
        coded = run("provider", "apply", str(file), server=server)

        file.write_text("code = 'X'\ndistributors = [{ code = 'A', required_distributor = 'B' }]\n")
        planned = run("provider", "apply", str(file), "--dry-run", server=server)

    wrong = f"{file}:\ndistributors[0].required_distributor: the file does not define 'B'\n"
    assert (planned.exit_code, planned.stderr) == (1, f"Error: {wrong}")
    assert coded.stderr == f"Error: {file}:\ncode: begins or ends with a blank\n"
    assert own.exit_code == 2
    for said in "kode: unknown key", "services[0].code: 5 is not a text", "\ncode: is required":
        assert said in own.stderr
    assert servers.exit_code == 1
    for said in "\nservices[1].code: is required", "\nservices[1].provider_service_id: is required":
        assert said in servers.stderr


def test_exit_codes_tell_refused_from_not_reached(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        refused = run_process("provider", "show", "NONE", server=server)
        assert (refused.returncode, "[PROVIDER_NOT_FOUND]" in refused.stderr) == (1, True)
    unreached = run_process("provider", "list", "--server", server.address, "--timeout=1")
    assert unreached.returncode == 3
    said = f"Error: {server.address} was not reached: check that the server runs"
    assert unreached.stderr.startswith(said)


def test_a_server_that_is_no_address_is_refused_with_a_sentence() -> None:
    for address in ("localhost", "localhost:", "http://localhost:50051"):
        for command in (("provider", "list"), ("adapter", "simulate", "--provider", "P")):
            refused = run(*command, "--server", address)
            assert refused.exit_code == 2
            assert f"HOST:PORT, like localhost:50051, not '{address}'" in refused.stderr


@pytest.mark.parametrize("host", ["x..y", 64 * "x"])
def test_a_server_whose_name_cannot_be_a_host_is_not_reached(host: str) -> None:
    unreached = run("provider", "list", "--server", f"{host}:50051", "--timeout=1")

    assert unreached.exit_code == 3
    assert f"Error: {host}:50051 was not reached: " in unreached.stderr


def test_a_second_server_on_the_same_database_is_refused(tmp_path: Path) -> None:
    with Server(tmp_path):
        database = f"sqlite:///{tmp_path / 'generic-provider.db'}"
        second = run_process("serve", "--listen", "127.0.0.1:0", "--database", database)

        assert second.returncode == 1
        assert "is in use by another server" in second.stderr


def test_the_settings_in_force_are_printed_with_their_origins(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('log_level = "error"\nmax_streams = 7\n', encoding="utf-8-sig")

    shown = run(
        "serve",
        "--print-settings",
        "--config",
        str(file),
        "--max-streams=9",
        GENERIC_PROVIDER_LOG_FORMAT="json",
    )

    rows = {line.split()[0]: line.split()[1:] for line in shown.stdout.splitlines()[1:]}
    assert rows["max_streams"] == ["9", "option", "--max-streams"]
    assert rows["log_level"] == ["error", "file", str(file)]
    assert rows["log_format"] == ["json", "environment", "GENERIC_PROVIDER_LOG_FORMAT"]
    assert rows["drain_seconds"] == ["20", "default"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--listen", "0.0.0.0:1"), "can be reached from other machines"),
        (
            ("--listen", "0.0.0.0:1", "--tls-certificate", "a.pem", "--tls-key", "a.key"),
            "give --callers, or let everybody do everything with --insecure",
        ),
        (("--listen-tokens", "127.0.0.1:0"), "--listen-tokens needs --tls-client-ca and --callers"),
        (
            ("--callers", "/none/callers.toml"),
            "--callers: /none/callers.toml: No such file or directory; `generic-provider caller",
        ),
        (("--listen", "nowhere"), "is not HOST:PORT"),
        (("--listen", "127.0.0.1:\N{ARABIC-INDIC DIGIT THREE}"), "is not HOST:PORT"),
        (("--listen", "[127.0.0.1]:0"), "is not HOST:PORT"),
        (("--listen", "x..y:1", "--insecure"), "--listen: 'x..y:1' is not HOST:PORT"),
        (("--listen", f"{64 * 'x'}:1", "--insecure"), "is not HOST:PORT"),
        (
            (
                "--listen=nowhere.invalid:1",
                "--insecure",
                "--workers=2",
                "--database=postgresql:///",
            ),
            "Error: cannot serve on nowhere.invalid:1: ",
        ),
        (
            ("--listen", "127.0.0.1:9464", "--metrics", "127.0.0.1:9464"),
            "--metrics: --listen has the address 127.0.0.1:9464 already",
        ),
        (("--metrics", "9464"), "--metrics: '9464' is not HOST:PORT"),
        (("--database", "mysql://x/y", "--listen", "127.0.0.1:0"), "is not a database URL"),
        (("--database", "sqlite:///:memory:", "--listen", "127.0.0.1:0"), "names no file"),
        (("--drain-seconds", "soon"), "'soon' is not a number from 0 to 86400"),
        (("--audit-days", "99999999999"), "is not a whole number from 1 to 36500"),
        (("--tls-key", "key.pem"), "tls_certificate and tls_key go together"),
    ],
)
def test_wrong_settings_are_refused_with_what_is_wrong(
    arguments: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    database = f"sqlite:///{tmp_path / 'new.db'}"
    refused = run("serve", *arguments, GENERIC_PROVIDER_DATABASE=database)

    assert refused.exit_code in (1, 2)
    assert said in refused.stderr
    assert not list(tmp_path.iterdir())


def test_what_a_simulated_platform_holds_is_printed_and_compared(tmp_path: Path) -> None:
    file, memory = tmp_path / "small.toml", str(tmp_path / "platform.db")
    file.write_text(PROVIDER)
    with Server(tmp_path) as server:
        run("provider", "apply", str(file), "--effective", server=server)
        with (
            simulated_adapter("one", server=server, provider="SMALL"),
            Client(server.address) as crm,
        ):
            become = actions.BecomeSubscriber(
                type="DTH", holder=Account(name="Mari"), services=[("SMALL", "MAIN", "SPORT")]
            )
            done = crm.perform(become, subscription="S1")
            assert crm.get_action(done.action.id, wait=timedelta(seconds=20)).settle_time.seconds
        printed = run("adapter", "memory", "--memory", memory).stdout
        assert "MAIN 1001" in printed
        compare = ("adapter", "compare", "--provider", "SMALL", "--memory", memory)
        same = run(*compare, server=server)
        assert (same.exit_code, "1 subscriber on the platform, 0 differences" in same.stderr) == (
            0,
            True,
        )
        unknown = run(*compare[:3], "SMAL", *compare[4:], server=server)
        assert (unknown.exit_code, unknown.stdout) == (1, "")
        assert "did you mean 'SMALL'?" in unknown.stderr
        said = (tmp_path / "one.log").read_text()
        assert said == f"one is connected to {server.address} and waits for requests of SMALL\n"
        with closing(sqlite3.connect(memory)) as platform, platform:
            platform.execute("UPDATE subscriber SET holds = json_set(holds, '$.holder', 'Jaan')")
        renamed = run(*compare, server=server)
        assert renamed.exit_code == 1
        assert renamed.stdout == "S1: the holder is Jaan, the CRM says Mari\n"
        with closing(sqlite3.connect(memory)) as platform, platform:
            platform.execute("DELETE FROM subscriber")
        compared = run(*compare, server=server)
        assert compared.exit_code == 1
        assert "S1: services are (none), the CRM says MAIN 1001" in compared.stdout


def test_sigterm_drains_and_the_adapter_comes_back_to_the_next_server(tmp_path: Path) -> None:
    with Server(tmp_path) as server, Client(server.address) as crm:
        file = tmp_path / "small.toml"
        file.write_text(PROVIDER)
        run("provider", "apply", str(file), "--effective", server=server)
        with simulated_adapter("steady", server=server, provider="SMALL"):
            wait_until(lambda: _connected(crm), what="the adapter is connected")
            assert server.stop(signal.SIGTERM) == 0
            server.start()
            wait_until(lambda: _connected(crm), what="the adapter is back")


def _connected(crm: Client) -> bool:
    return [each.adapter for each in crm.list_adapters()] == ["steady"]
