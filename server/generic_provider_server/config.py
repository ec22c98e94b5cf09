"""Defines the settings of a server."""

from __future__ import annotations

import ipaddress
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from .domain.audit import DAYS_OF_AUDIT
from .domain.resets.records import DAYS_OF_ENTRIES
from .domain.subscription.events import DAYS_OF_EVENTS

LAST_PORT = 65535
MOST_DAYS = 100 * 365


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    CONSOLE = "console"
    JSON = "json"


class Settings(Struct, frozen=True, kw_only=True):
    """All settings of a server. Raises ValueError if an address has a wrong form, if settings
    contradict each other, or if other machines could reach a server that is not protected.
    """

    listen: Annotated[
        str,
        Meta(description="Address to listen on, HOST:PORT or [IPV6]:PORT; port 0: a free port."),
    ] = "127.0.0.1:50051"
    database: Annotated[
        str,
        Meta(
            description="The database: sqlite:///FILE (sqlite:////FILE for an absolute path) or "
            "postgresql://USER:PASSWORD@HOST/NAME, which several servers may share. Every user of "
            "this machine can see the command line, so give a password in the environment variable."
        ),
    ] = "sqlite:///generic-provider.db"
    notifications_database: Annotated[
        str,
        Meta(
            description="A direct URL of the same PostgreSQL database, if --database names a "
            "pooler in transaction mode: such a pooler does not forward notifications."
        ),
    ] = ""
    archive_folder: Annotated[
        Path | None,
        Meta(
            description="The folder of the archives, which all servers of a database share. "
            "Default on SQLite: the folder DATABASE.archives beside the database. Without a "
            "folder, a PostgreSQL database has no archives."
        ),
    ] = None
    reset_entries_days: Annotated[
        int,
        Meta(
            ge=1,
            le=MOST_DAYS,
            description="The number of days after the end of a reset run for which its entries "
            "are kept, unless they are archived earlier.",
        ),
    ] = DAYS_OF_ENTRIES
    event_days: Annotated[
        int,
        Meta(
            ge=1,
            le=MOST_DAYS,
            description="The number of days for which events are kept for watchers.",
        ),
    ] = DAYS_OF_EVENTS
    audit_days: Annotated[
        int,
        Meta(
            ge=1,
            le=MOST_DAYS,
            description="The number of days for which entries of the audit trail are kept, unless "
            "they are archived earlier.",
        ),
    ] = DAYS_OF_AUDIT
    workers: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000,
            description="The number of server processes that share the address and the PostgreSQL "
            "database.",
        ),
    ] = 1
    callers: Annotated[
        Path | None,
        Meta(
            description="The file of callers: who may call the server, with which roles; "
            "`generic-provider caller` writes it. Without a file, every caller may make every call."
        ),
    ] = None
    listen_tokens: Annotated[
        str,
        Meta(
            description="A second address for callers with a token. Clients need no "
            "certificate there, even if --tls-client-ca is given."
        ),
    ] = ""
    insecure: Annotated[
        bool,
        Meta(description="Allow an address other than loopback without TLS or without --callers."),
    ] = False
    tls_certificate: Annotated[
        Path | None,
        Meta(description="The server's certificate chain (PEM); it needs --tls-key."),
    ] = None
    tls_key: Annotated[
        Path | None, Meta(description="The private key of the certificate (PEM).")
    ] = None
    tls_client_ca: Annotated[
        Path | None,
        Meta(
            description="CAs (PEM): on the address of --listen, accept only clients whose "
            "certificate one of these CAs signed."
        ),
    ] = None
    patience_seconds: Annotated[
        float,
        Meta(
            ge=0.5,
            le=3_600,
            description="The number of seconds after which a silent database or server process "
            "counts as dead. All processes on a database need the same value.",
        ),
    ] = 10
    drain_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=86_400,
            description="The seconds that running calls get to finish after SIGTERM.",
        ),
    ] = 20
    max_streams: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="The greatest number of adapter streams that a server process keeps open "
            "at the same time. The same limit applies to each other kind of stream: watchers of "
            "events, of reset runs and of the health, platform reports, and downloads of archives.",
        ),
    ] = 2000
    metrics: Annotated[
        str,
        Meta(
            description="Address on which Prometheus reads the metrics of all processes over "
            "HTTP, without TLS, as HOST:PORT or [IPV6]:PORT. Default: no metrics."
        ),
    ] = ""
    log_level: Annotated[
        LogLevel, Meta(description="The lowest severity of messages in the log.")
    ] = LogLevel.INFO
    log_format: Annotated[
        LogFormat, Meta(description="Format of log lines: for people (console) or programs (json).")
    ] = LogFormat.CONSOLE

    def __post_init__(self) -> None:
        host, _ = self.address
        if self.metrics:
            address_of(self.metrics, option="--metrics", example="127.0.0.1:9464")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError(
                "tls_certificate and tls_key go together: give both or neither, "
                "as --tls-certificate and --tls-key"
            )
        if self.workers > 1 and self.database.startswith("sqlite:"):
            raise ValueError(
                "--workers: an SQLite database is served by one process only; "
                "use a PostgreSQL --database"
            )
        if self.tls_client_ca and not self.tls_certificate:
            raise ValueError("--tls-client-ca needs --tls-certificate and --tls-key")
        if self.listen_tokens:
            address_of(self.listen_tokens, option="--listen-tokens", example="0.0.0.0:50052")
        if self.listen_tokens and not (self.tls_client_ca and self.callers):
            raise ValueError("--listen-tokens needs --tls-client-ca and --callers")
        self._check_different_addresses()
        if not (is_loopback(host) or self.tls_certificate or self.insecure):
            raise ValueError(
                f"--listen: {self.listen} can be reached from other machines; "
                "give --tls-certificate and --tls-key, or allow it with --insecure"
            )
        if not (is_loopback(host) or self.callers or self.insecure):
            raise ValueError(
                f"--listen: {self.listen} can be reached from other machines; "
                "give --callers, or let everybody do everything with --insecure"
            )

    def _check_different_addresses(self) -> None:
        used: dict[str, str] = {}
        for option, address in (
            ("--listen", self.listen),
            ("--listen-tokens", self.listen_tokens),
            ("--metrics", self.metrics),
        ):
            if not address or address.endswith(":0"):
                continue
            if used.setdefault(address, option) != option:
                raise ValueError(f"{option}: {used[address]} has the address {address} already")

    @property
    def address(self) -> tuple[str, int]:
        """The host (without brackets) and the port of `listen`."""
        return address_of(self.listen, option="--listen", example="127.0.0.1:50051")

    @property
    def metrics_address(self) -> tuple[str, int]:
        return address_of(self.metrics, option="--metrics", example="127.0.0.1:9464")


def address_of(text: str, *, option: str, example: str) -> tuple[str, int]:
    """Returns the host (without brackets) and the port. Raises ValueError if the text is wrong."""
    found = re.fullmatch(r"(\[[^\[\]]*:[^\[\]]*\]|[^:\[\]]+):([0-9]{1,5})", text)
    if not found or int(found[2]) > LAST_PORT or not _may_be_host(found[1]):
        raise ValueError(f"{option}: {text!r} is not HOST:PORT, like {example}")
    return found[1].strip("[]"), int(found[2])


def _may_be_host(host: str) -> bool:
    """Tells whether the resolver accepts the name of the host. The resolver refuses a name in which
    a part between dots is empty or too long.
    """
    try:
        return bool(host.encode("idna"))
    except UnicodeError:
        return False


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
