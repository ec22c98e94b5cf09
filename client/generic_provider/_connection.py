"""Defines the settings of a connection to a server, and the delays between attempts."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address

import grpc

from generic_provider._failures import error_of, retry_delay
from generic_provider._tls import TlsFiles

Tls = bool | grpc.ChannelCredentials | TlsFiles | None

OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # Without this option, all channels to one address share one connection and its limit of
    # concurrent calls, so that open streams would delay the answers.
    ("grpc.use_local_subchannel_pool", 1),
)
LONGEST_SECONDS = 3e9
"""The longest deadline, about a hundred years. gRPC treats a much longer deadline as one that has
passed.
"""

RESOURCE_EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
# CANCELLED is included, because a stopping server cancels the calls that it has not begun
NOT_DONE = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED})
_PLACE = r"(?:\[[^\s\[\]]+\]|[^\s:/,\[\]]+):\d{1,5}"
_ADDRESS = re.compile(
    rf"unix(?:-abstract)?:.+|(?:dns:(?://[^/]*/)?|ipv[46]:)?(?P<places>{_PLACE}(?:,{_PLACE})*)"
)


@dataclass(frozen=True, slots=True)
class Target:
    """The address of a server, and the credentials for this server."""

    address: str
    token: str | None = field(default=None, repr=False)
    tls: Tls = None
    """If None, TLS is used unless the address belongs to this machine."""

    def __post_init__(self) -> None:
        if not _ADDRESS.fullmatch(str(self.address)):
            raise ValueError(
                f"the address of a server is HOST:PORT, like localhost:50051, not {self.address!r}"
            )
        self._check_token()
        if not isinstance(self.tls, bool | grpc.ChannelCredentials | TlsFiles | None):
            raise TypeError(
                f"tls is True, False, TlsFiles or grpc.ChannelCredentials, not {self.tls!r}"
            )

    def _check_token(self) -> None:
        """Raises TypeError or ValueError if gRPC would refuse the token. The errors do not contain
        the token, because it is a secret.
        """
        if not isinstance(self.token, str | None):
            raise TypeError(f"token must be a text, not of the type {type(self.token).__name__}")
        if self.token and not (self.token.isascii() and self.token.isprintable()):
            raise ValueError(
                "token must contain only printable ASCII characters; if you read it from a file, "
                "remove the end of the line"
            )

    def credentials(self) -> grpc.ChannelCredentials | None:
        if isinstance(self.tls, grpc.ChannelCredentials):
            return self.tls
        if isinstance(self.tls, TlsFiles):
            return self.tls.credentials()
        secure = self.tls if self.tls is not None else not self._local()
        return grpc.ssl_channel_credentials() if secure else None

    def metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()

    def channel(self) -> grpc.Channel:
        credentials = self.credentials()
        if credentials is None:
            return grpc.insecure_channel(self.address, self._options())
        return grpc.secure_channel(self.address, credentials, self._options())

    def aio_channel(self) -> grpc.aio.Channel:
        credentials = self.credentials()
        if credentials is None:
            return grpc.aio.insecure_channel(self.address, self._options())
        return grpc.aio.secure_channel(self.address, credentials, self._options())

    def _options(self) -> tuple[tuple[str, int], ...]:
        """Returns the options of a channel.

        A channel to this machine ignores the proxy in the environment.
        """
        return (*OPTIONS, ("grpc.enable_http_proxy", 0)) if self._local() else OPTIONS

    def _local(self) -> bool:
        found = _ADDRESS.fullmatch(self.address)
        places = (found and found["places"]) or ""  # a Unix socket has no host
        return all(_is_loopback(each.rpartition(":")[0]) for each in places.split(",") if each)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.rstrip(".").lower() == "localhost"


def delays(first: float, most: float) -> Iterator[float]:
    """Yields the random delays between attempts, in seconds, without an end. The first delay is at
    most `first`. This limit doubles after each attempt, until it is `most`.
    """
    limit = first
    while True:
        yield random.uniform(0, limit)
        limit = min(2 * limit, most)


class Tries:
    """Limits the attempts of one call by its deadline.

    A call is repeated only after a status in NOT_DONE, or after RESOURCE_EXHAUSTED if the server
    has asked for a repeat.
    """

    def __init__(self, limit: timedelta, *, wait: timedelta = timedelta()) -> None:
        """`wait`: the time for which the server may hold the call, in addition to `limit`."""
        # seconds are added, because the sum of two timedeltas may be too large
        self._until = time.monotonic() + limit.total_seconds() + wait.total_seconds()
        self._delays = delays(0.1, 5.0)
        self._unavailable: grpc.RpcError | None = None

    def seconds_left(self) -> float:
        return min(max(0.0, self._until - time.monotonic()), LONGEST_SECONDS)

    def delay_after(self, error: grpc.RpcError) -> float:
        """Returns the seconds until the next attempt. Raises the ProvisioningError for the error if
        no attempt follows.
        """
        asked = retry_delay(error) if error.code() is RESOURCE_EXHAUSTED else None
        if error.code() in NOT_DONE or asked is not None:
            self._unavailable = error
            delay = (asked or 0.0) + next(self._delays)
            if delay < self.seconds_left():
                return delay
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and self._unavailable:
            error = self._unavailable  # the error of the earlier attempt is the cause
        raise error_of(error) from None
