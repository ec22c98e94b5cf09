"""No part of a password is shown, however the URL is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generic_provider_server.store.database.connections import checked
from generic_provider_server.store.database.engine import UnsupportedDatabase
from generic_provider_server.store.database.urls import hidden
from support.command_line import run

PART = "SECRET"
MARKS = st.sampled_from(["@", "/", "?", ":", "#", "&", "=", "%", "%zz", "%40", "[", ",", '"', "é"])
PASSWORDS = st.lists(MARKS, max_size=6).map(lambda marks: "".join([PART, *_woven(marks)]))
SHAPES = (
    "postgresql://user:{}@host/name",
    "postgresql://user:{}@one:5432,two/name?sslmode=require",
    "postgres://:{}@host",
    "postgresql://host/name?password={}",
    "postgresql://user@host/name?sslmode=require&sslpassword={}&connect_timeout=5",
    "postgresql://host:5432/name?pass%77ord={}",
    "mysql://user:{}@host/name",
    "user:{}@host/name",
    "postgres:user:{}@host",
    "postgres:/user:{}@host/name",
    "user:{}",
    "host=one user=user password={}",
    "postgresql://host/name;password={}",
    "postgresql://host/name?pass={}",
)
NOTHING_LISTENS = "postgresql://user:{}@127.0.0.1:1/name"


def _woven(marks: list[str]) -> list[str]:
    return [mark + PART for mark in marks]


def _refusal(url: str) -> str:
    try:
        checked(url)
    except UnsupportedDatabase as error:
        return str(error)
    return ""


@given(password=PASSWORDS, shape=st.sampled_from(SHAPES))
def test_a_shown_url_has_nothing_of_the_password(password: str, shape: str) -> None:
    assert PART not in hidden(shape.format(password))


@given(password=PASSWORDS, shape=st.sampled_from(SHAPES))
def test_a_refusal_has_nothing_of_the_password(password: str, shape: str) -> None:
    assert PART not in _refusal(shape.format(password))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:////data/a:b@c.db", "sqlite:////data/a:b@c.db"),
        ("postgresql://user@one,two:5432,[::1]:5433/name?sslmode=require", None),
        ("postgresql:///name?host=/run/postgresql", None),
        ("generic-provider.db", None),
        ("user:x@host/name", "user***"),
        ("postgresql://user:x", "postgresql://***"),
        ("postgresql://user:x/name", "postgresql://***"),
        ("postgresql://user:x@host:5432/name", "postgresql://user:***@host:5432/name"),
        ("postgresql://host/name?password=x", "postgresql://host/name?password=***"),
    ],
)
def test_the_rest_of_a_url_is_shown(url: str, shown: str | None) -> None:
    assert hidden(url) == (shown or url)


@pytest.mark.parametrize("password", [PART, f"{PART}@{PART}", f"{PART}/{PART}", f"{PART}%zz"])
@pytest.mark.parametrize("option", ["--database", "--notifications-database"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_printed_settings_have_no_password(password: str, option: str, shape: str) -> None:
    shown = run("serve", "--print-settings", option, shape.format(password))

    assert shown.exit_code == 0
    assert PART not in shown.output


def test_a_database_that_is_no_text_is_refused_without_its_password(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(f'database = ["postgresql://user:{PART}@host/name"]')
    refused = run("serve", "--print-settings", "--config", str(file))

    assert refused.exit_code == 2
    assert "the value is not a text" in refused.output
    assert PART not in refused.output


@pytest.mark.parametrize("password", [PART, f"{PART}@{PART}", f"{PART}/{PART}", f"{PART}%zz"])
@pytest.mark.parametrize("shape", [NOTHING_LISTENS, "mysql://user:{}@host/name"])
@pytest.mark.parametrize("command", [("database", "status"), ("database", "upgrade")])
def test_no_message_of_a_command_has_a_password(
    password: str, shape: str, command: tuple[str, ...]
) -> None:
    refused = run(*command, "--database", shape.format(password))

    assert refused.exit_code == 1
    assert PART not in refused.output


def test_a_password_with_an_at_sign_is_never_resolved_as_a_host() -> None:
    with pytest.raises(UnsupportedDatabase, match="write @ as %40"):
        checked(f"postgresql://user:a@{PART}@host/name")
