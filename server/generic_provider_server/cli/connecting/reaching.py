"""Opens a separate connection to a server, to find out why a call did not reach the server. The
errors of gRPC do not tell that only one side uses TLS, or why a certificate is refused.
"""

from __future__ import annotations

import re
import socket
import ssl
from typing import Any

from ..failures import NotReached
from .connection import Connection

PATIENCE = 2.0
OTHER_NAME = (62, 64)
"""The error codes of OpenSSL for a certificate of another host name or address."""
MOST_NAMES = 10
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
"""The first bytes that a client of HTTP/2 sends. A server that accepts the client answers. A server
that refuses the client closes the connection.
"""
PLACE = re.compile(r"(?:dns:|ipv[46]:)?(\[[^\]]+\]|[^:/,]+):(\d+)")


def refuse_unreachable(connection: Connection, *, again: bool = False) -> None:
    """Raises NotReached if the host name has no address, if only one side uses TLS, or if one side
    does not accept the certificate of the other side. Does nothing in all other cases.

    `again`: true if another attempt follows. If `again` is true, the function also does nothing if
    the host name has no address at the moment.
    """
    if why := _why_not_reached(connection, again=again):
        raise NotReached(f"{connection.server} was not reached: {why}")


def _why_not_reached(connection: Connection, *, again: bool) -> str:
    place = PLACE.fullmatch(connection.server)
    if not place:
        return ""
    host, port = place[1].strip("[]"), int(place[2])
    try:
        with socket.create_connection((host, port), timeout=PATIENCE) as plain:
            return _mismatch(connection, plain, host)
    except socket.gaierror as error:
        if again and error.errno == socket.EAI_AGAIN:
            return ""
        return f"no address is found for the host {host} ({error.strerror}): check --server"
    except UnicodeError:  # a part of the name is empty or too long
        return f"{host} is not the name of a host: check --server"
    except OSError:
        return ""


def _mismatch(connection: Connection, plain: socket.socket, host: str) -> str:
    if not connection.secure:
        return "the server uses TLS: give its CA with --ca" if _speaks_tls(plain) else ""
    address = plain.getpeername()[:2]
    try:
        with connection.context().wrap_socket(plain, server_hostname=host) as secured:
            secured.sendall(PREFACE)
            welcome = secured.recv(1)
    except ssl.SSLCertVerificationError as error:
        if error.verify_code in OTHER_NAME:
            return _other_name(connection, address, host)
        return f"the server's certificate is not accepted ({error.verify_message}): check --ca"
    except ssl.SSLError as error:
        if "ALERT" not in str(error.reason):
            how = "leave out --ca, --cert and --key" if connection.files else "use --insecure"
            return f"the server does not use TLS: {how}"
        welcome = b""
    except ConnectionError:
        welcome = b""
    if welcome:
        return ""
    if connection.cert:
        if expired := connection.expired():
            return expired
        return "the server does not accept the client certificate: check --cert"
    return "the server wants a client certificate: give --cert and --key"


def _other_name(connection: Connection, address: tuple[str, int], host: str) -> str:
    """Connects again to the same address, to find out which names the certificate has."""
    context = connection.context()
    context.check_hostname = False
    with (
        socket.create_connection(address, timeout=PATIENCE) as plain,
        context.wrap_socket(plain) as secured,
    ):
        found: dict[str, Any] = dict(secured.getpeercert() or {})
    names = [name for _, name in found.get("subjectAltName", ())]
    if not names:
        return "the server's certificate has no name: give the server another certificate"
    said = " or ".join(names[:MOST_NAMES])
    return (
        f"the server's certificate is not for {host}, but for {said}: use such a name in --server"
    )


def _speaks_tls(plain: socket.socket) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    # the certificate is not checked, because this connection only shows whether the server uses TLS
    context.verify_mode = ssl.CERT_NONE
    try:
        with context.wrap_socket(plain) as secured:
            return bool(secured.version())
    except OSError as error:
        return isinstance(error, ssl.SSLError) and "ALERT" in str(error.reason)
