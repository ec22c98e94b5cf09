"""Makes and checks lease tokens, and computes the delays after failed attempts."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable
from enum import IntEnum

import msgspec

from .values import SECOND, Value

LONGEST_DELAY = 300 * SECOND
_MAC_BYTES = 12
_URL_SAFE, _USUAL = bytes.maketrans(b"+/", b"-_"), bytes.maketrans(b"-_", b"+/")


class LeaseEnd(IntEnum):
    """The reason why a lease ended before all of its requests were answered."""

    RAN_OUT = 1
    STREAM_BROKE = 2
    RELEASED = 3
    OPERATOR = 4
    RETRY_LATER = 5
    NOT_SENT = 6


class Lease(Value, frozen=True, array_like=True):
    """One hand-over of a subscription's requests to one stream: the requests of a unit from index
    `first` to `last`.
    """

    provider: str
    subscription: str
    handover: int
    unit: int
    first: int
    last: int
    stream: str

    def covers(self, *, unit: int, index: int) -> bool:
        return unit == self.unit and self.first <= index <= self.last


def token_of(lease: Lease, key: bytes) -> str:
    """Returns the lease's token.

    The token contains the lease and a MAC, so the token can be checked at any later time.
    """
    return signed(msgspec.msgpack.encode(lease), key)


def lease_of(token: str, key: bytes) -> Lease | None:
    """Returns the lease for which the token was issued, or None if this service never issued the
    token.
    """
    body = verified(token, key)
    try:
        return _decoder.decode(body) if body is not None else None
    except msgspec.MsgspecError:
        return None


_decoder = msgspec.msgpack.Decoder(Lease)


def signed(body: bytes, key: bytes) -> str:
    """Returns a token that carries the body and a MAC, as URL-safe base64 without padding."""
    return _text(_mac(body, key) + body)


def verified(token: str, key: bytes) -> bytes | None:
    """Returns the body of a token, or None if `signed` never returned exactly this token."""
    try:
        raw = a2b_base64(token.encode("ascii").translate(_USUAL) + b"=" * (-len(token) % 4))
    except ValueError:
        return None
    mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    genuine = hmac.compare_digest(mac, _mac(body, key)) and _text(raw) == token
    return body if genuine else None


def _text(raw: bytes) -> str:
    return b2a_base64(raw, newline=False).translate(_URL_SAFE).rstrip(b"=").decode()


def _mac(body: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_MAC_BYTES, key=key).digest()


def back_off(attempts: int, *, jitter: float) -> int:
    """Returns the microseconds to wait after this number of failed attempts: 0, 1 s, 2 s, 4 s … 5
    min.

    `jitter`: a factor from 0.8 to 1.2.
    """
    if attempts <= 1:
        return 0
    return int(min(SECOND << min(attempts - 2, 30), LONGEST_DELAY) * jitter)


def stream_of(server: str) -> str:
    """Returns the id of a new stream.

    The id begins with the id of the process that serves the stream.
    """
    return f"{server}.{secrets.token_hex(6)}"


def streams_of(leases: Iterable[Lease | None]) -> set[str]:
    return {lease.stream for lease in leases if lease is not None}


def server_of(stream: str) -> str:
    return stream.partition(".")[0]
