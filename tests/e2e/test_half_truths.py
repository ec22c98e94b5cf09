"""If a command fails for a cause outside of the program, it prints one sentence that names this
cause.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import grpc
import pytest

from support.command_line import run, run_process
from support.forking import PROGRAM
from support.processes import Server

NAME = "Жаба €"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("truths")) as running:
        yield running


def _ran(
    *arguments: str, server: Server | None = None, output: str = "", **environment: str
) -> tuple[int, str, str]:
    """Runs the command in a shell; `output` may redirect its standard output."""
    environment["GENERIC_PROVIDER_SERVER"] = server.address if server else "127.0.0.1:1"
    done = subprocess.run(
        ["/bin/sh", "-c", f'"$@" {output}', "sh", *PROGRAM, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


def _sentence(*arguments: str, code: int = 1) -> str:
    done = run_process(*arguments)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    return done.stderr


def test_a_database_that_is_none_of_ours_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    text, foreign = tmp_path / "text.db", tmp_path / "foreign.db"
    text.write_text("hello, world\n" * 100)
    with closing(sqlite3.connect(foreign)) as other, other:
        other.execute("CREATE TABLE customers (name TEXT)")
    former = foreign.read_bytes()

    for file, said in (
        (text, f"the database {text} cannot be used: file is not a database"),
        (tmp_path, f"{tmp_path}: Is a directory"),
        (foreign, f"the database {foreign} cannot be used: it contains tables of another program"),
    ):
        serve = ("serve", "--listen=127.0.0.1:0", f"--database=sqlite:///{file}")
        assert f"Error: {said}" in _sentence(*serve)
        upgrade = ("database", "upgrade", f"--database=sqlite:///{file}")
        assert said in _sentence(*upgrade)
    assert "not a database" in _sentence("database", "status", f"--database=sqlite:///{text}")
    assert foreign.read_bytes() == former


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("none.pem", "none.key"), "--tls-certificate: none.pem: No such file or directory"),
        (("server.pem", "none.key"), "--tls-key: none.key: No such file or directory"),
        (("server.pem", "crm.key"), "are no pair of PEM files"),
        (("server.pem", "server.key", "crm.key"), "contains no certificate (PEM)"),
        (("server.pem",), "as --tls-certificate and --tls-key"),
    ],
)
def test_wrong_files_of_tls_are_named_with_their_option(
    options: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(Path(__file__).parent / "certificates")
    names = "--tls-certificate", "--tls-key", "--tls-client-ca"
    given = [f"{name}={file}" for name, file in zip(names, options, strict=False)]
    database = f"--database=sqlite:///{tmp_path / 'x.db'}"

    code = 2 if len(options) == 1 else 1
    assert said in _sentence("serve", "--listen=127.0.0.1:0", database, *given, code=code)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["subscription list", "subscription list --json", "--help"])
def test_a_full_or_closed_output_is_told_without_a_traceback(server: Server, command: str) -> None:
    run("action", "become-subscriber", "--type=OTT", server=server)

    code, _, said = _ran(*command.split(), server=server, output="> /dev/full")
    assert code == 1
    assert said == "Error: standard output cannot be written: No space left on device\n"
    assert _ran(*command.split(), server=server, output=">&-") == (0, "", "")


def test_a_closed_standard_input_is_empty() -> None:
    code, told, said = _ran("action", "batch", "-", output="<&-")

    assert (code, told) == (0, "0 done, 0 refused\n"), said
    assert said == "- contains no lines with an action\n"


def test_the_name_of_the_user_need_not_be_utf_8(server: Server) -> None:
    code, _, said = _ran(
        "action", "become-subscriber", "--type=OTT", server=server, LOGNAME="t\udcf5nu"
    )

    assert (code, said) == (0, "")
    assert "t?nu" in run("action", "list", server=server).stdout


def test_a_server_that_cannot_say_where_it_serves_says_why(tmp_path: Path) -> None:
    database = f"--database=sqlite:///{tmp_path / 'x.db'}"

    code, _, said = _ran("serve", "--listen=127.0.0.1:0", database, output="> /dev/full")

    assert code == 1
    assert said == "Error: standard output cannot be written: No space left on device\n"


def test_a_terminal_of_another_encoding_shows_everything(server: Server) -> None:
    become = ("action", "become-subscriber", "--type=OTT", f"--holder-name={NAME}")
    number = json.loads(run(*become, "--json", server=server).stdout)["subscription"]["number"]

    for command in "show", "explain":
        shown = _ran("subscription", command, number, server=server, PYTHONIOENCODING="latin-1")
        assert (shown[0], "\\u0416\\u0430" in shown[1]) == (0, True), shown
    _, told, _ = _ran(
        "subscription", "show", number, "--json", server=server, PYTHONIOENCODING="latin-1"
    )
    assert json.loads(told)["holder"]["name"] == NAME


def test_an_argument_that_is_no_text_is_refused() -> None:
    done = subprocess.run(
        [*PROGRAM, "subscription", "show", b"\xe9"], capture_output=True, text=True, check=False
    )

    assert (done.returncode, "is not text in UTF-8" in done.stderr) == (2, True)
    assert "Traceback" not in done.stderr


def test_a_provider_that_cannot_become_effective_is_not_created(
    server: Server, tmp_path: Path
) -> None:
    file = tmp_path / "p.toml"
    file.write_text('code = "BARE"\n')

    refused = run("provider", "apply", str(file), "--effective", server=server)

    assert refused.exit_code == 1
    assert "BARE cannot be made effective without a distributor and a service" in refused.stderr
    assert "[PROVIDER_NOT_FOUND]" in run("provider", "show", "BARE", server=server).stderr


def test_a_provider_is_shown_as_the_file_that_makes_it(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text(
        """
        code = "WHOLE"
        display_name = "Täis \\"Whole\\" \\\\ \\U000e0067 Co."
        distributors = [
            { code = "MAIN", allowed_services = ["A"], required_goods_types = ["CARD"] },
            { code = "TWIN", required_distributor = "MAIN", max_services = 3 },
        ]
        services = [{ code = "A", provider_service_id = "1", parameters = { "a 😀" = "€ 😀" } }]
        goods = [{ goods_type = "CARD", provider_goods_type = "C" }]
        delivery_settings = { pending_window = "50 h", max_delivery_attempts = 7 }
        request_settings = { term_end_on_platform = true }
        """
    )
    dry = run("provider", "apply", str(file), "--dry-run", server=server)
    assert dry.stdout.startswith("WHOLE would be created, NOT_EFFECTIVE\n+code")
    assert "[PROVIDER_NOT_FOUND]" in run("provider", "show", "WHOLE", server=server).stderr
    run("provider", "apply", str(file), server=server)

    written = run("provider", "show", "WHOLE", "--toml", server=server).stdout
    file.write_text(written)

    again = run("provider", "apply", str(file), "--dry-run", server=server)
    assert again.stdout == "WHOLE would be unchanged, NOT_EFFECTIVE\n"
    plan = "provider", "apply", str(file), "--dry-run", "--effective"
    would = "WHOLE would be unchanged, EFFECTIVE\n"
    assert run(*plan, server=server).stdout == would
    planned = run(*plan, "--json", server=server)
    assert planned.stderr == would
    assert json.loads(planned.stdout)["state"] == "PROVIDER_STATE_EFFECTIVE"
    assert run("provider", "apply", str(file), server=server).stdout.startswith("WHOLE unchanged")
    file.write_text(written.replace('"50 h"', '"3 d"').replace('{ code = "TWIN"', '# { "TWIN"'))
    changed = run("provider", "apply", str(file), "--dry-run", server=server).stdout
    assert '-    { code = "TWIN", required_distributor' in changed
    assert '+delivery_settings = { pending_window = "3 d"' in changed


def test_a_server_that_does_not_know_a_call_is_told_from_one_that_refuses_it() -> None:
    older = grpc.server(ThreadPoolExecutor(1))
    port = older.add_insecure_port("127.0.0.1:0")
    older.start()
    try:
        refused = run("provider", "list", "--server", f"127.0.0.1:{port}")
    finally:
        older.stop(None).wait()

    assert refused.exit_code == 1
    assert "the server does not know this call: it may be older than this command" in refused.stderr


def test_a_simulated_platform_in_another_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("hello, world\n" * 100)

    for command in ("memory",), ("compare", "--provider=P"), ("simulate", "--provider=P"):
        said = _sentence("adapter", *command, "--memory", str(file))
        assert (
            said
            == f"Error: {file} is not the file of a simulated platform: file is not a database\n"
        )
