from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
from pathlib import Path

import pytest

from generic_provider_server import callers
from support.command_line import run
from support.processes import Server, SimulatedAdapter, wait_until

PROVIDER = """
code = "P"
distributors = [{ code = "M" }]
services = [{ code = "NEWS", provider_service_id = "1" }]
"""


def test_a_token_is_printed_once_and_only_its_digest_is_kept(tmp_path: Path) -> None:
    file = f"--callers={tmp_path / 'callers.toml'}"
    added = run("caller", "add", "crm", "--role=crm", file)
    other = ("caller", "add", "crm", "--role=crm", "--role=support", file)
    refused = run(*other)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "crm: crm → crm, support would change the roles of all tokens" in refused.stderr
    again = run(*other, "--change-roles")
    add_gateway = ("caller", "add", "gateway", "--role=adapter:P", "--certificate=conax", file)
    assert run(*add_gateway).stdout == ""

    tokens = [added.stdout.strip(), again.stdout.strip()]
    assert len(set(tokens)) == 2
    assert min(map(len, tokens)) >= 40
    kept = (tmp_path / "callers.toml").read_text()
    assert not any(token in kept for token in tokens)
    assert stat.S_IMODE((tmp_path / "callers.toml").stat().st_mode) == 0o600
    listed = run("caller", "list", file).stdout.splitlines()
    assert listed[2].split() == ["gateway", "adapter:P", "conax"]
    name, roles, more, first, second = listed[1].split()
    assert (name, roles, more) == ("crm", "crm,", "support")

    crm, gateway = map(json.loads, run("caller", "list", "--json", file).stdout.splitlines())
    assert crm["roles"] == ["crm", "support"]
    assert crm["tokens"] == [first.strip(","), second]
    assert gateway["certificates"] == ["conax"]

    assert run("caller", "remove", "crm", f"--token={first.strip(',')}", file).exit_code == 0
    assert second in run("caller", "list", file).stdout
    assert first not in run("caller", "list", file).stdout
    assert run("caller", "remove", "crm", file).exit_code == 0
    assert run("caller", "remove", "crm", file).exit_code == 1
    assert run("caller", "remove", "gateway", file).exit_code == 0
    assert run("caller", "list", file).stderr == "nothing found\n"
    assert list(tmp_path.iterdir()) == [tmp_path / "callers.toml"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("a b", "--role=crm"), "a name consists of at most 64 letters"),
        (("a", "--role=boss"), "'boss' is not a role; the roles: crm, support, operator, auditor"),
        (("a", "--role=adapter:"), "'adapter:' is not a role"),
        (("a", "--role=adapter:*"), "'adapter:*' is not a role"),
        (("a", "--role=adapter:P,Q"), "'adapter:P,Q' is not a role"),
        (("a",), "Missing option '--role'"),
    ],
)
def test_a_wrong_caller_is_refused_and_nothing_is_written(
    arguments: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    refused = run("caller", "add", *arguments, f"--callers={tmp_path / 'callers.toml'}")

    assert (refused.exit_code, said in refused.stderr) == (2, True), refused.stderr
    assert not list(tmp_path.iterdir())


def test_a_missing_file_of_callers_can_be_named_by_a_variable(tmp_path: Path) -> None:
    run("caller", "add", "a", "--role=crm", f"--callers={tmp_path / 'callers.toml'}")
    refused = run("caller", "list")
    listed = run("caller", "list", GENERIC_PROVIDER_CALLERS=str(tmp_path / "callers.toml"))

    said = "'--callers'. Give it, or set the environment variable GENERIC_PROVIDER_CALLERS.\n"
    assert (refused.exit_code, refused.stderr.endswith(said)) == (2, True), refused.stderr
    assert listed.exit_code == 0


@pytest.mark.parametrize("wrong", [("--token=deadbeef", "--certificate=cx"), ("--token=",)])
def test_nothing_is_removed_if_a_part_does_not_exist(
    wrong: tuple[str, ...], tmp_path: Path
) -> None:
    file = f"--callers={tmp_path / 'callers.toml'}"
    run("caller", "add", "both", "--role=crm", file)
    run("caller", "add", "both", "--role=crm", "--certificate=cx", file)
    before = (tmp_path / "callers.toml").read_text()

    refused = run("caller", "remove", "both", *wrong, file)

    assert (refused.exit_code, "both has no token" in refused.stderr) == (1, True)
    assert (tmp_path / "callers.toml").read_text() == before


def test_a_certificate_of_another_caller_is_not_added(tmp_path: Path) -> None:
    path = tmp_path / "callers.toml"
    add = "caller", "add", f"--callers={path}", "--certificate=cx"
    assert run(*add, "one", "--role=crm").exit_code == 0
    before = path.read_text()

    refused = run(*add, "other", "--role=support", "--certificate=free")

    said = "Error: one has the certificate 'cx' already; nothing was added\n"
    assert (refused.exit_code, refused.output) == (1, said)
    assert path.read_text() == before
    assert run(*add, "one", "--role=crm", "--certificate=free").exit_code == 0
    assert len(callers.known_callers(path)) == 2


def _full(_: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_file_that_cannot_be_written_is_named_and_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = ("caller", "add", "a", "--role=crm", f"--callers={tmp_path / 'callers.toml'}")
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", _full)
        refused = run(*add)
    assert "callers.toml cannot be written: No space left on device" in refused.stderr
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    monkeypatch.setattr(callers, "LOCK_SECONDS", 0.0)
    assert "another program has locked the folder" in run(*add).stderr
    os.close(folder)
    assert not list(tmp_path.iterdir())
    os.mkfifo(tmp_path / "callers.toml")
    assert "is no regular file" in run(*add).stderr
    assert (tmp_path / "callers.toml").is_fifo()


def test_commands_prove_themselves_by_a_token_that_nothing_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_of_callers = f"--callers={tmp_path / 'callers.toml'}"
    token = run("caller", "add", "ann", "--role=operator", file_of_callers).stdout.strip()
    file = tmp_path / "p.toml"
    file.write_text('code = "P"\ndistributors = [{ code = "M" }]\n')
    with Server(tmp_path, file_of_callers) as server:
        nobody = run("provider", "list", server=server)
        wrong = run("provider", "list", f"--token={token}x", server=server)
        assert (nobody.exit_code, wrong.exit_code) == (1, 1)
        assert run("health", server=server).exit_code == 0
        monkeypatch.setenv("GENERIC_PROVIDER_TOKEN", token)
        applied = run("provider", "apply", str(file), server=server)
        assert applied.stdout == "P created, NOT_EFFECTIVE\n  distributors  M\n", applied.stderr
        adapter = SimulatedAdapter("simulator", server=server, provider="P")
        try:
            wait_until(
                lambda: "simulator" in run("adapters", server=server).stdout,
                what="the adapter is connected",
            )
        finally:
            assert adapter.stop() == 0
    shown = [nobody.output, wrong.output, server.log.read_text()]
    assert [text for text in shown if token in text] == []


def test_a_caller_with_the_role_crm_gets_an_explanation_of_what_it_may_read(tmp_path: Path) -> None:
    callers = f"--callers={tmp_path / 'callers.toml'}"
    tokens = {
        role: run("caller", "add", role, f"--role={role}", callers).stdout.strip()
        for role in ("operator", "crm")
    }
    become = ("--subscription=S1", "--type=DTH", "--provider=P", "--service=M:NEWS")
    (tmp_path / "p.toml").write_text(PROVIDER)
    with Server(tmp_path, callers) as server:

        def said(role: str, *command: str, code: int = 0) -> str:
            done = run(*command, server=server, GENERIC_PROVIDER_TOKEN=tokens[role])
            assert done.exit_code == code, done.output
            return done.output

        said("operator", "provider", "apply", str(tmp_path / "p.toml"), "--effective")
        said("crm", "action", "become-subscriber", *become)
        text = said("crm", "subscription", "explain", "S1")
        said("crm", "provider", "list", code=1)
        audit = ("audit", "list", "--refused", "--json")
        recorded = "the refused calls are recorded"
        wait_until(lambda: "ListProviders" in said("operator", *audit), what=recorded)
        refused = said("operator", *audit).splitlines()
        unknown = said("crm", "subscription", "explain", "S2", code=1)
        listed = said("crm", "action", "list", "--subscription=S1")

    assert "\n  holder    (none)\n  address   (none)\n" in text
    assert "\nP  account (none)  PENDING\n" in text
    assert "  not shown   the provider, its requests and adapters: your roles may not read" in text
    assert "ask somebody with the role support, who may see more: generic-provider sub" in text
    assert "  adapter  " not in text
    assert "[SUBSCRIPTION_NOT_FOUND]" in unknown
    assert "PERMISSION_DENIED" not in text + unknown + listed
    methods = [json.loads(each)["method"] for each in refused]
    assert methods == ["ListProviders", "ListRequests"]  # each once


def test_a_server_does_not_start_with_an_empty_file_of_callers(tmp_path: Path) -> None:
    file = tmp_path / "callers.toml"
    file.touch()
    database = f"sqlite:///{tmp_path / 'x.db'}"
    refused = run("serve", "--callers", str(file), "--database", database)

    assert refused.exit_code == 1
    assert "names no caller, so every call would be refused" in refused.stderr
