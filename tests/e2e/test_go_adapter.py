"""Compiles and tests the manual's adapter in Go, if Debian's packages for Go are installed."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from support.foreign_adapter import PROTOS, keeps_every_rule, listing

DEBIAN = Path(os.environ.get("GENERIC_PROVIDER_TEST_GO", "/"))
"""The root of the packages: `/` if they are installed, or the folder in which `dpkg -x` has
unpacked them.
"""
GO = DEBIAN / "usr/lib/go-1.19"
LIBRARY = DEBIAN / "usr/share/gocode/src/google.golang.org/protobuf"
PROTOC = DEBIAN / "usr/bin/protoc"
CACHE = Path(tempfile.gettempdir()) / f"gp-go-cache-{os.geteuid()}"
"""Go keeps the compiled packages in this folder for later runs. To compile them takes 10 s of CPU
time.
"""
# With these changes of the adapter, `adapter check` can test every rule.
CHANGES = (
    ("leaseTime    = 30 * time.Second", "leaseTime    = 3 * time.Second"),
    ("downTime     = 10 * time.Second", "downTime     = 1 * time.Second"),
    (
        "\tswitch request.Type {\n",
        """
\tswitch request.GetService().GetService() {
\tcase "FILM":
\t\treturn "", refused{"E42", "no"}
\tcase "PPV":
\t\treturn "", errPlatformDown
\t}
\tswitch request.Type {
\tcase v1.RequestType_REQUEST_TYPE_UPDATE_ADDRESS:
\t\ttime.Sleep(2 * time.Second)
\t\treturn "", nil
""",
    ),
)


@pytest.mark.soak
@pytest.mark.timeout(600)
async def test_the_go_adapter_keeps_every_rule(tmp_path: Path) -> None:
    needed = GO, DEBIAN / "usr/bin/protoc-gen-go-grpc", LIBRARY
    if not all(each.exists() for each in needed):
        pytest.skip(
            "needs Debian's golang-go, protobuf-compiler, protoc-gen-go, protoc-gen-go-grpc, "
            "golang-google-grpc-dev and golang-github-golang-protobuf-1-5-dev"
        )
    source = tmp_path / "src/adapter/main.go"
    source.parent.mkdir(parents=True)
    source.write_text(listing("go", CHANGES))
    program = tmp_path / "adapter"
    _run(tmp_path, str(PROTOC), *_protoc(tmp_path / "src"))
    _run(tmp_path, str(GO / "bin/go"), "build", "-o", str(program), "adapter")

    await keeps_every_rule(str(program), log=tmp_path / "go.log")


def _protoc(folder: Path) -> list[str]:
    options = [f"--proto_path={PROTOS}", f"--proto_path={DEBIAN}/usr/include"]
    files = [str(each) for each in (PROTOS / "generic_provider/v1").glob("*.proto")]
    return [*options, f"--go_out={folder}", f"--go-grpc_out={folder}", *files]


def _run(folder: Path, *command: str) -> None:
    variables = {
        "GO111MODULE": "off",
        "GOCACHE": str(CACHE),
        "GOPATH": f"{folder}:{DEBIAN}/usr/share/gocode",
        "GOROOT": str(GO),
        "LD_LIBRARY_PATH": f"{DEBIAN}/usr/lib/x86_64-linux-gnu",
        "PATH": f"{DEBIAN}/usr/bin:{os.environ['PATH']}",
    }
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **variables}
    )
    assert done.returncode == 0, done.stderr
