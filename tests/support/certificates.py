"""Makes certificates for tests, if the machine has openssl."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import grpc
import pytest

NEW = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
CA_USE = "-addext keyUsage=critical,keyCertSign,cRLSign"
"""Since Python 3.13, the default context of the module `ssl` accepts no CA without this
extension. A test connects with such a context.
"""


class Authority:
    """A CA for tests, with its files in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.ca = folder / "ca.pem"
        made = f"-days 9 {CA_USE} -keyout ca.key -out ca.pem"
        self._openssl(f"req -x509 {NEW} -subj /CN=ca {made}")

    def pair(self, name: str, *, days: int = 9) -> tuple[Path, Path]:
        """Makes a key and a certificate, for a server at 127.0.0.1 or for a client. If `days` is
        -1, the certificate has expired.
        """
        (self.folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
        self._openssl(f"req {NEW} -subj /CN={name} -keyout {name}.key -out {name}.csr")
        signed = "-CA ca.pem -CAkey ca.key -CAcreateserial -extfile names"
        self._openssl(f"x509 -req -in {name}.csr {signed} -days {days} -out {name}.pem")
        return self.folder / f"{name}.key", self.folder / f"{name}.pem"

    def credentials(self, name: str = "", *, days: int = 9) -> grpc.ChannelCredentials:
        """Returns the credentials of a client that trusts this CA. If `name` is given, the client
        has a certificate of this CA.
        """
        own = [file.read_bytes() for file in self.pair(name, days=days)] if name else []
        return grpc.ssl_channel_credentials(self.ca.read_bytes(), *own)

    def _openssl(self, arguments: str) -> None:
        openssl = shutil.which("openssl")
        if openssl is None:
            pytest.skip("there is no openssl")
        command = [openssl, *arguments.split()]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)
