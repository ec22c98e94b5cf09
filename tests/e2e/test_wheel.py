"""Tests the wheel when it is installed with only the packages that the client needs."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEEDED = ("grpc", "google", "typing_extensions.py")
RUN = "import sys; sys.path[:] = [*sys.argv[1:2], *[p for p in sys.path if 'site-pack' not in p]]; "


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Installs the wheel and only the packages that the client needs. Returns the folder."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        files.extractall(folder / "site")
    packages = Path(sysconfig.get_path("purelib"))
    for name in NEEDED:
        (folder / "site" / name).symlink_to(packages / name)
    return folder / "site"


def _python(site: Path, code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", "-c", RUN + code, str(site)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_says_what_is_missing(installed: Path) -> None:
    (metadata,) = installed.glob("*.dist-info")
    entry = (metadata / "entry_points.txt").read_text().split("generic-provider = ")[1].strip()
    module, _, function = entry.partition(":")

    done = _python(installed, f"from {module} import {function}; {function}()")

    assert done.returncode == 1
    assert done.stderr.startswith("The command generic-provider needs click, which comes with")
    # no index has the package, so the text names the command for the wheel
    assert done.stderr.endswith("pip install 'generic_provider-VERSION-py3-none-any.whl[server]'\n")
    assert len(done.stderr.splitlines()) == 1
    assert _python(installed, "import generic_provider").returncode == 0


def test_the_metadata_has_the_readme(installed: Path) -> None:
    (metadata,) = installed.glob("*.dist-info")

    told = Parser().parsestr((metadata / "METADATA").read_text())

    assert told["Description-Content-Type"] == "text/markdown"
    assert told.get_payload() == (ROOT / "README.md").read_text()
