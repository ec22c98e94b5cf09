"""Writes and reads one archive file. The file consists of lines, and is compressed with gzip."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from .lines import FORMAT, Closing, Content, Opening, decode_line, encode_line, kind_of

GZIP = 16 + zlib.MAX_WBITS
LEVEL = 6
_NAMED = re.compile(r"Z\d+-([0-9a-f]{16})\.ndjson\.gz")


class DamagedArchive(Exception):
    """The file is not an archive, or its contents have changed since it was written."""


class ArchiveWriter:
    """Writes an archive file. The file is complete and durable only after `finish`."""

    def __init__(self, path: Path, opening: Opening) -> None:
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
        self._packed = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
        self._digest = hashlib.sha256()
        self._counts: Counter[str] = Counter()
        self._write(self._packed.compress(_line(opening)))

    def add(self, lines: Iterable[Content]) -> None:
        lines = list(lines)
        self._counts.update(map(kind_of, lines))
        self._write(self._packed.compress(b"".join(map(_line, lines))))

    def finish(self) -> tuple[int, str]:
        """Closes the file, and returns its size and SHA-256."""
        closing = self._packed.compress(_line(Closing(lines=dict(self._counts))))
        self._write(closing + self._packed.flush())
        self._file.flush()
        os.fsync(self._file.fileno())
        size = self._file.tell()
        self._file.close()
        return size, self._digest.hexdigest()

    def close(self) -> None:
        """Closes the file, even if the last lines cannot be written. Waits until a write that
        another thread has begun ends.
        """
        with suppress(OSError):
            self._file.close()

    def _write(self, packed: bytes) -> None:
        self._digest.update(packed)
        self._file.write(packed)


def _line(line: Opening | Content | Closing) -> bytes:
    return encode_line(line) + b"\n"


class ArchiveFile:
    """Reads a complete file. Raises DamagedArchive if the file has changed since it was written,
    and OSError if the file cannot be read.

    `checksum` is the expected SHA-256 of the file, or its first digits. If `checksum` is empty, the
    digits are taken from the name of the file; if the file was renamed, the checksum is not
    checked.
    """

    def __init__(self, path: Path, *, checksum: str = "") -> None:
        self._path = path
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        named = _NAMED.fullmatch(path.name)
        wanted = checksum or (named[1] if named else "")
        if not digest.startswith(wanted):
            raise self._damaged(f"its SHA-256 is {digest}, and should begin with {wanted}")
        self._lines = self._read()
        opening = next(self._lines, None)
        if not isinstance(opening, Opening):
            raise self._damaged("it does not begin as an archive does")
        self.opening = opening
        self.counts: Counter[str] = Counter()

    def contents(self) -> Iterator[Content]:
        """Yields every line except the first and the last.

        Call this function only once. Only when the iterator has ended without an error is the file
        known to be complete.
        """
        for line in self._lines:
            if isinstance(line, Closing):
                if line.lines != self.counts or next(self._lines, None) is not None:
                    raise self._damaged("its lines are not those that its last line counts")
                return
            if isinstance(line, Opening):
                raise self._damaged("its first line occurs twice")
            self.counts[kind_of(line)] += 1
            yield line
        raise self._damaged("it is cut short")

    def _read(self) -> Iterator[Opening | Content | Closing]:
        try:
            with gzip.open(self._path) as file:
                for line in file:
                    yield decode_line(line)
        except EOFError:
            raise self._damaged("it is cut short") from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise self._damaged(f"it cannot be unpacked: {error}") from None
        except msgspec.MsgspecError as error:
            raise self._damaged(f"a line does not have format {FORMAT}: {error}") from None

    def _damaged(self, why: str) -> DamagedArchive:
        return DamagedArchive(f"{self._path.name} is damaged: {why}")
