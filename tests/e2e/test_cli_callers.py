from __future__ import annotations

import stat
from pathlib import Path

import pytest

from support.command_line import run
from support.processes import Server, SimulatedAdapter, wait_until


def test_a_token_is_printed_once_and_only_its_digest_is_kept(tmp_path: Path) -> None:
    file = f"--callers={tmp_path / 'callers.toml'}"
    added = run("caller", "add", "crm", "--role=crm", file)
    again = run("caller", "add", "crm", "--role=crm", "--role=support", file)
    gateway = ("caller", "add", "gateway", "--role=adapter:P", "--certificate=conax", file)
    assert run(*gateway).stdout == ""

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

    assert run("caller", "remove", "crm", f"--token={first.strip(',')}", file).exit_code == 0
    assert second in run("caller", "list", file).stdout
    assert first not in run("caller", "list", file).stdout
    assert run("caller", "remove", "crm", file).exit_code == 0
    assert run("caller", "remove", "crm", file).exit_code == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "callers.toml"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("a b", "--role=crm"), "a name has at most 64 letters"),
        (("a", "--role=boss"), "'boss' is not a role: crm, support, operator, auditor"),
        (("a", "--role=adapter:"), "'adapter:' is not a role"),
        (("a",), "Missing option '--role'"),
    ],
)
def test_a_wrong_caller_is_refused_and_nothing_is_written(
    arguments: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    refused = run("caller", "add", *arguments, f"--callers={tmp_path / 'callers.toml'}")

    assert (refused.exit_code, said in refused.stderr) == (2, True), refused.stderr
    assert not list(tmp_path.iterdir())


def test_commands_prove_themselves_by_a_token_that_nothing_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    callers = f"--callers={tmp_path / 'callers.toml'}"
    token = run("caller", "add", "ann", "--role=operator", callers).stdout.strip()
    file = tmp_path / "p.toml"
    file.write_text('code = "P"\ndistributors = [{ code = "M" }]\n')
    with Server(tmp_path, callers) as server:
        nobody = run("provider", "list", server=server)
        wrong = run("provider", "list", f"--token={token}x", server=server)
        assert (nobody.exit_code, wrong.exit_code) == (1, 1)
        assert run("health", server=server).exit_code == 0
        monkeypatch.setenv("GENERIC_PROVIDER_TOKEN", token)
        applied = run("provider", "apply", str(file), server=server)
        assert applied.stdout == "P created, NOT_EFFECTIVE\n", applied.stderr
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
