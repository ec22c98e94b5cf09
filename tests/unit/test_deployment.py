"""Tests that the files for deployment name only variables and files that exist."""

from __future__ import annotations

import re
from pathlib import Path

from generic_provider_server.cli.connecting.connection import PREFIX, Connection
from generic_provider_server.config import Settings
from generic_provider_server.options import DESCRIBED

DEPLOYMENT = Path(__file__).parents[2] / "docs" / "deployment"


def test_the_files_for_deployment_name_variables_that_exist() -> None:
    known = {each.variable for each in DESCRIBED.values()}
    known |= {PREFIX + name.upper() for name in Connection.__dataclass_fields__}
    files = [each for each in DEPLOYMENT.rglob("*") if each.is_file()]
    named = {name for file in files for name in re.findall(rf"{PREFIX}[A-Z_]+\b", file.read_text())}

    assert named - known <= {PREFIX}
    assert len(named) > 5


def test_the_files_for_deployment_name_files_that_exist() -> None:
    compose = (DEPLOYMENT / "compose.yaml").read_text()
    mounted = re.findall(r"- (\.{1,2}/[^:]+):", compose)

    assert [name for name in mounted if not (DEPLOYMENT / name).exists()] == []
    assert mounted


def test_the_servers_of_the_containers_store_archives_in_a_volume() -> None:
    compose = (DEPLOYMENT / "compose.yaml").read_text()
    folder = re.findall(rf"{PREFIX}ARCHIVE_FOLDER: (.+)", compose)

    # the server creates no folder for the archives of a PostgreSQL database
    assert folder == re.findall(r"- archives:(.+)", compose)


def test_the_systemd_unit_keeps_files_private_and_waits_for_the_drain() -> None:
    unit = (DEPLOYMENT / "generic-provider.service").read_text()
    set_to = dict(re.findall(r"^(\w+)=(.*)$", unit, flags=re.MULTILINE))

    assert (set_to["UMask"], set_to["StateDirectoryMode"]) == ("0077", "0700")
    assert float(set_to["TimeoutStopSec"]) > Settings().drain_seconds
