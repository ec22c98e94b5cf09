"""Configures the log of a server process."""

from __future__ import annotations

import logging
import os
import re
import select
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TextIO, cast

import structlog
from msgspec.structs import asdict
from structlog.typing import EventDict, Processor

from .config import LogFormat, LogLevel, Settings
from .domain.audit import AuditEntry
from .store.archives.lines import AuditLine, audit_line, encode_line
from .visible import visible

INVALID_METADATA = "Invalid encoding on %s"
MISREAD = re.compile(r"[\s='\"]")
PAUSE_SECONDS, MOST_TEXTS = 60.0, 100
AT_ONCE = 4_096
"""The number of bytes that can be written to every writable pipe without waiting."""


def configure_logs(settings: Settings) -> None:
    """Logs to standard error: as lines for people, or as one JSON object per line.

    Messages and warnings of libraries are written to the same log.
    """
    json = settings.log_format is LogFormat.JSON
    first: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _all_visible,
    ]
    last: list[Processor] = [
        *([structlog.processors.format_exc_info] if json else []),
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        ),
    ]
    structlog.configure(
        processors=[*first, *last],
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level.value),
        # Unlike PrintLogger, this logger writes a line together with its line break, so that no
        # line of another thread gets between the line and the line break.
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, STANDARD_ERROR)),
    )
    remove_record = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    libraries = logging.StreamHandler(cast(TextIO, STANDARD_ERROR))
    libraries.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[remove_record, *last], foreign_pre_chain=first
        )
    )
    libraries.addFilter(GrpcFilter())
    level = max(logging.WARNING, logging.getLevelNamesMapping()[settings.log_level.name])
    logging.basicConfig(handlers=[libraries], level=level, force=True)
    logging.captureWarnings(capture=True)
    threading.excepthook = _log_failed_thread


def _log_failed_thread(failed: threading.ExceptHookArgs) -> None:
    if failed.exc_value is not None:
        name = failed.thread.name if failed.thread else ""
        structlog.get_logger().error("thread_failed", thread=name, exc_info=failed.exc_value)


def audit_lines(settings: Settings) -> Callable[[Iterable[AuditEntry]], None]:
    """Returns a function that writes entries of the audit trail in the same form as other log
    lines.

    The function does not use structlog, because there may be thousands of entries in a second. For
    each entry structlog would take a tenth of the time that the whole call takes.
    """
    shown = settings.log_level in (LogLevel.DEBUG, LogLevel.INFO)
    line_of = _json_line if settings.log_format is LogFormat.JSON else _console_line

    def write(entries: Iterable[AuditEntry]) -> None:
        if not shown:
            return
        written = _utc(datetime.now(UTC))
        if lines := [visible(line_of(audit_line(entry), written)) for entry in entries]:
            STANDARD_ERROR.write("\n".join([*lines, ""]))

    return write


def _json_line(line: AuditLine, written: str) -> str:
    facts = encode_line(line).decode().removeprefix('{"kind":"audit",')
    return f'{{"event":"audit","level":"info","timestamp":"{written}",{facts}'


def _console_line(line: AuditLine, written: str) -> str:
    shown = {**asdict(line), "time": _utc(line.time), "roles": ",".join(line.roles)}
    facts = [f"{name}={_quoted(fact)}" for name, fact in shown.items() if fact]
    return f"{written} [info     ] audit {' '.join(facts)}"


def _utc(time: datetime) -> str:
    """Returns the time in the form that structlog uses."""
    return time.isoformat().replace("+00:00", "Z")


def _quoted(fact: object) -> str:
    """Returns the fact in quotes if it contains a blank or another special character, in the same
    way as structlog.
    """
    text = str(fact)
    return repr(text) if MISREAD.search(text) else text


def _all_visible(_: object, __: str, event: EventDict) -> EventDict:
    return {name: visible(fact) if type(fact) is str else fact for name, fact in event.items()}


class GrpcFilter(logging.Filter):
    """Limits the log lines of gRPC, because everybody who reaches the server can send calls that
    cause such lines. Each text is logged at most once a minute. Values of metadata are never
    logged, because they may be tokens.
    """

    def __init__(self) -> None:
        super().__init__()
        self._logged_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith("grpc"):
            return True
        if record.msg == INVALID_METADATA:
            record.msg, record.args, record.exc_info = "metadata of a call is not UTF-8", (), None
        text, now = str(record.msg), time.monotonic()
        if now - self._logged_at.get(text, -PAUSE_SECONDS) < PAUSE_SECONDS:
            return False
        if len(self._logged_at) >= MOST_TEXTS:
            self._logged_at.clear()
        self._logged_at[text] = now
        return True


class _StandardError:
    """Writes to standard error. A failure to write never stops the server.

    A line that cannot be written, for example because the disk is full, is lost. A line is lost too
    if the program at the other end of the pipe or terminal does not read. As soon as lines can be
    written again, the log gets a line with the number of lines that were lost, or of which only the
    beginning was written.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._dropped = 0

    def write(self, text: str) -> None:
        with suppress(OSError), self._lock:
            try:
                file = sys.stderr.fileno()
            except OSError:  # the stream is a buffer in memory and not a file
                sys.stderr.write(text)
                return
            self._write(file, text.encode(errors="backslashreplace"))

    def _write(self, file: int, text: bytes) -> None:
        """Writes the text, and counts the lines that are not written completely."""
        written = 0
        try:
            if self._dropped and _is_writable(file):
                said = f'"event":"log_lines_dropped","level":"warning","lines":{self._dropped}'
                os.write(file, f"\n{{{said}}}\n".encode())
                self._dropped = 0
            while written < len(text) and _is_writable(file):
                written += os.write(file, text[written : written + AT_ONCE])
        finally:
            self._dropped += len(text[written:].splitlines())

    def flush(self) -> None:
        """Does nothing, because every line is written immediately."""


def _is_writable(file: int) -> bool:
    """Tells whether AT_ONCE bytes can be written without waiting."""
    polling = select.poll()
    polling.register(file, select.POLLOUT)
    return any(event & (select.POLLOUT | select.POLLERR) for _, event in polling.poll(0))


STANDARD_ERROR = _StandardError()
