"""Opens the text that a command reads: a file, a pipe or standard input.

The contents of a pipe are copied first, because a pipe can be read only once. A file that is not
text is refused before the command uses the first line. If bytes of a file are not UTF-8, only the
lines that contain them are wrong.
"""

from __future__ import annotations

import codecs
import gzip
import io
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Self

import click

FILE = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
"""The type of a parameter that names a text. `-` means standard input."""

CHUNK = 1024 * 1024
GZIP = b"\x1f\x8b"
UTF16 = codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE
SPREADSHEETS = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"


class Text:
    """The lines of a text in UTF-8, without their ends. The lines can be read several times."""

    def __init__(self, path: Path) -> None:
        real = path.resolve() if str(path).startswith("/dev/") else path
        self.name = real.name if real.is_file() else "-"
        """The name of the file; `-` for standard input and for every pipe."""
        try:
            with ExitStack() as opened:
                self._content = _content(path, opened)
                marked = _head(self._content).startswith(codecs.BOM_UTF8)
                self._start = len(codecs.BOM_UTF8) if marked else 0
                self._opened = opened.pop_all()
        except (OSError, EOFError, UnicodeError, zlib.error) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else error
            why = "it is not valid UTF-16" if isinstance(error, UnicodeError) else why
            raise click.ClickException(f"{path} cannot be read: {why}; nothing was done") from None
        self.length = sum(1 for _ in self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def __iter__(self) -> Iterator[bytes]:
        position = self._start  # of this iterator only, because several may run at the same time
        while True:
            self._content.seek(position)
            line = self._content.readline()
            if not line:
                return
            position = self._content.tell()
            yield line.rstrip(b"\r\n")

    def whole(self) -> str:
        """Returns the whole text. Raises UsageError with the line if the text is not UTF-8."""
        whole = b"\n".join(self)
        try:
            return whole.decode()
        except UnicodeDecodeError as error:
            line = whole.count(b"\n", 0, error.start) + 1
            why = not_utf8(whole[error.start])
            raise click.UsageError(f"{self.name}, line {line}: {why}") from None


def not_utf8(byte: int, *, column: str = "") -> str:
    """Returns the text of the error for a line that is not UTF-8. `byte`: the first wrong byte.
    `column`: the heading of the column of CSV that contains the byte.
    """
    place, kind = (f" in column {column}", "CSV UTF-8") if column else ("", "UTF-8")
    return f"is not UTF-8 (byte 0x{byte:02x}{place}): save the file as {kind}"


def _content(path: Path, opened: ExitStack) -> IO[bytes]:
    content = _opened(path, opened)
    while _head(content).startswith(GZIP):
        unzipped = opened.enter_context(gzip.GzipFile(fileobj=content))
        content = _copied(_chunks(unzipped), opened)
    if _head(content).startswith(SPREADSHEETS):
        raise click.ClickException(
            f"{path} is a spreadsheet or a ZIP file, not text: save it as CSV in UTF-8"
        )
    if _head(content).startswith(UTF16):
        wide = opened.enter_context(io.TextIOWrapper(content, encoding="utf-16", newline=""))
        content = _copied((text.encode() for text in iter(lambda: wide.read(CHUNK), "")), opened)
    head = _head(content)
    if b"\0" in head:
        raise click.ClickException(f"{path} contains NUL bytes, so it is not text in UTF-8")
    # Old spreadsheet programs end lines with a carriage return.
    if b"\r" in head and b"\n" not in head:
        content = _copied((each.replace(b"\r", b"\n") for each in _chunks(content)), opened)
    return content


def _opened(path: Path, opened: ExitStack) -> IO[bytes]:
    """Returns the file itself, or a copy of the contents of a pipe."""
    if path.is_file():
        return opened.enter_context(path.open("rb"))
    if str(path) == "-":
        return _copied(_chunks(sys.stdin.buffer), opened)
    with path.open("rb") as pipe:
        return _copied(_chunks(pipe), opened)


def _copied(chunks: Iterable[bytes], opened: ExitStack) -> IO[bytes]:
    copy: IO[bytes] = opened.enter_context(TemporaryFile())  # noqa: SIM115 - the stack closes it
    copy.writelines(chunks)
    return copy


def _chunks(source: IO[bytes] | gzip.GzipFile) -> Iterator[bytes]:
    return iter(lambda: source.read(CHUNK), b"")


def _head(content: IO[bytes]) -> bytes:
    content.seek(0)
    head = content.read(CHUNK)
    content.seek(0)
    return head
