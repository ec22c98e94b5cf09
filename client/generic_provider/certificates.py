"""Reads the time at which a certificate expires, because the module ssl cannot do this."""

from __future__ import annotations

import ssl
from datetime import datetime
from functools import lru_cache

BEGIN, END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
SEQUENCE, UTC_TIME = 0x30, 0x17
SHORT = 0x80
"""If the first byte of a length is smaller than this value, the byte is the length. Otherwise the
byte less this value is the number of following bytes that contain the length.
"""


@lru_cache(maxsize=1_000)
def expiry_of(pem: bytes) -> float:
    """Returns the time at which the first certificate in the file expires, in seconds since 1970.
    TLS must have accepted the file before.
    """
    first = pem[pem.index(BEGIN) : pem.index(END) + len(END)]
    der = ssl.PEM_cert_to_DER_cert(first.decode())
    _, certificate, _ = _part(der)
    _, signed, _ = _part(certificate)
    tag, _, rest = _part(signed)
    while tag != SEQUENCE:  # the version and the serial number
        tag, _, rest = _part(rest)
    _, _, rest = _part(rest)  # the issuer
    _, validity, _ = _part(rest)
    _, _, rest = _part(validity)  # the beginning
    tag, content, _ = _part(rest)
    return _time(content.decode(), short=tag == UTC_TIME)


def _part(der: bytes) -> tuple[int, bytes, bytes]:
    """Returns the tag and the content of the first part, and the bytes after this part."""
    length, begin = der[1], 2
    if length >= SHORT:
        begin += length - SHORT
        length = int.from_bytes(der[2:begin])
    end = begin + length
    return der[0], der[begin:end], der[end:]


def _time(text: str, *, short: bool) -> float:
    if short:  # years with two digits are 1950 to 2049, by definition
        text = ("20" if text < "50" else "19") + text
    return datetime.strptime(f"{text[:-1]}+0000", "%Y%m%d%H%M%S%z").timestamp()
