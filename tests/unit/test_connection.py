"""Tests how a command finds the settings of its connection: in options, in the environment and in a
profile.
"""

from __future__ import annotations

import ssl
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from generic_provider_server.cli.connecting.connection import Connection
from generic_provider_server.cli.connecting.options import connection_options

CERTIFICATES = Path(__file__).parents[1] / "e2e" / "certificates"
HIDDEN = "s3cr3t-t0k3n"
FILE = f"""
[default]
server = "one.example:1"
token_file = "token"

[two]
server = "two.example:2"
ca = "{CERTIFICATES / "ca.pem"}"
cert = "{CERTIFICATES / "crm.pem"}"
key = "{CERTIFICATES / "crm.key"}"

[plain]
insecure = true
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / ".config"
    folder.mkdir()
    (folder / "token").write_text(f"{HIDDEN}\n")
    (folder / "generic-provider.toml").write_text(FILE)
    return tmp_path


def _asked(home: Path, *options: str, **variables: str) -> tuple[Result, Connection]:
    known = [Connection()]

    @click.command()
    @connection_options()
    def command(*, connection: Connection) -> None:
        known.append(connection)

    environment = {f"GENERIC_PROVIDER_{name}": value for name, value in variables.items()}
    clean = dict.fromkeys(("SERVER", "PROFILE", "TOKEN", "CA", "CERT", "KEY", "INSECURE"), "")
    clean = {f"GENERIC_PROVIDER_{name}": value for name, value in clean.items()}
    given = {"HOME": str(home), **clean, **environment}
    return CliRunner().invoke(command, options, env=given), known[-1]


def _parts(connection: Connection) -> tuple[str, str, list[str], bool]:
    return connection.server, connection.token, sorted(connection.files), connection.insecure


TLS = ["ca", "cert", "key"]


@pytest.mark.parametrize(
    ("options", "variables", "parts"),
    [
        ((), {}, ("one.example:1", HIDDEN, [], False)),
        (("--server=x:9",), {}, ("x:9", "", [], False)),
        (("--server=one.example:1",), {}, ("one.example:1", HIDDEN, [], False)),
        (("--server=x:9", "--profile=default"), {}, ("x:9", HIDDEN, [], False)),
        ((), {"PROFILE": "two"}, ("two.example:2", "", TLS, False)),
        (("--profile=two",), {"PROFILE": "default"}, ("two.example:2", "", TLS, False)),
        (("--profile=two",), {"SERVER": "y:8", "TOKEN": "env"}, ("y:8", "env", TLS, False)),
        (
            ("--server=z:7", "--token=opt"),
            {"SERVER": "y:8", "TOKEN": "env"},
            ("z:7", "opt", [], False),
        ),
        (("--profile=two", "--insecure"), {}, ("two.example:2", "", [], True)),
        (("--profile=plain",), {}, ("localhost:50051", "", [], True)),
        (
            ("--profile=plain",),
            {"CA": str(CERTIFICATES / "ca.pem")},
            ("localhost:50051", "", ["ca"], False),
        ),
    ],
)
def test_an_option_precedes_the_environment_and_that_precedes_the_profile(
    home: Path, options: tuple[str, ...], variables: dict[str, str], parts: tuple[object, ...]
) -> None:
    result, connection = _asked(home, *options, **variables)

    assert result.exit_code == 0, result.output
    assert _parts(connection) == parts


def test_the_files_of_a_profile_that_is_not_used_are_not_read(home: Path) -> None:
    (home / ".config" / "token").unlink()

    result, connection = _asked(home, "--server=x:9")

    assert (result.exit_code, _parts(connection)) == (0, ("x:9", "", [], False))


def test_without_a_file_the_server_of_this_machine_is_asked(tmp_path: Path) -> None:
    _, connection = _asked(tmp_path)

    assert _parts(connection) == ("localhost:50051", "", [], False)


def test_a_user_without_a_home_folder_needs_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").touch()
    _, connection = _asked(tmp_path / "home")
    assert connection.server == "localhost:50051"

    monkeypatch.setattr(Path, "home", _no_home)
    _, connection = _asked(tmp_path)
    assert connection.server == "localhost:50051"


def _no_home() -> Path:
    raise RuntimeError("Could not determine home directory.")


@pytest.mark.parametrize(
    ("text", "options", "sentence"),
    [
        ("[a]", ("--profile=b",), "has no profile b; its profiles: a"),
        ("[default", (), "generic-provider.toml: Expected ']'"),
        ("default = 1", (), "generic-provider.toml, default: a profile is a table"),
        ("server = 'x:9'", (), "generic-provider.toml, server: a profile is a table"),
        ("server = 'x:9'\n[a]", ("--profile=a",), "toml, server: a profile is a table"),
        ("token_file = 'token'", ("--server=x:9",), "toml, token_file: a profile is a table"),
        ("[default]\nsever = 'x'", (), "sever is not a setting; did you mean server?"),
        ("[default]\ncacert = 'x'", (), "cacert is not a setting; did you mean ca?"),
        ("[default]\nserver = 'x'", (), "the address of a server is HOST:PORT"),
        ("[default]\ninsecure = 'x'", (), "insecure must be true or false"),
        ("[default]\nca = 'none.pem'", (), "none.pem: No such file or directory"),
        ("[default]\nca = '~nobody-has-this-name/ca.pem'", (), "a path begins with ~: "),
        ("[default]\ntoken_file = '.'", (), "Is a directory"),
        ("[default]\ntoken_file = 'wrong'", (), "a token consists of letters"),
        ("[default]\ntoken_file = 'bytes'", (), "the file is not text"),
        ("", (f"--token={HIDDEN} x",), "a token consists of letters"),
        (None, ("--profile=b",), "the profile b is not found: there is no"),
    ],
)
def test_a_wrong_profile_is_refused_with_a_sentence_that_shows_no_token(
    home: Path, text: str | None, options: tuple[str, ...], sentence: str
) -> None:
    file = home / ".config" / "generic-provider.toml"
    file.unlink() if text is None else file.write_text(text)
    (home / ".config" / "wrong").write_text(f"{HIDDEN}\n{HIDDEN}")
    (home / ".config" / "bytes").write_bytes(HIDDEN.encode() + b"\xff")

    result, _ = _asked(home, *options)

    assert (result.exit_code, HIDDEN in result.output) == (2, False)
    assert sentence in " ".join(result.output.split()), result.output


def test_a_token_is_shown_neither_by_the_help_nor_by_the_connection(home: Path) -> None:
    shown, _ = _asked(home, "--help", TOKEN=HIDDEN)
    _, connection = _asked(home, TOKEN=HIDDEN)

    assert connection.token == HIDDEN
    assert HIDDEN not in shown.output + repr(connection)


def test_certificates_that_grpc_accepts_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    default = ssl.create_default_context

    def strict(*, cafile: Path) -> ssl.SSLContext:
        """Returns a context that is strict with every version of Python, as since Python 3.13."""
        context = default(cafile=cafile)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)
    context = Connection(server="one.example:1", ca=CERTIFICATES / "ca.pem").context()

    assert not context.verify_flags & ssl.VERIFY_X509_STRICT
