"""Configures the log of a server process."""

from __future__ import annotations

import logging
import sys
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


def configure_logs(settings: Settings) -> None:
    """Logs to standard error: as lines for people, or as one JSON object per line.

    Messages and warnings of libraries get into the same log.
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
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Sturdy())),
    )
    remove_record = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    libraries = logging.StreamHandler(sys.stderr)
    libraries.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[remove_record, *last], foreign_pre_chain=first
        )
    )
    level = max(logging.WARNING, logging.getLevelNamesMapping()[settings.log_level.name])
    logging.basicConfig(handlers=[libraries], level=level, force=True)
    logging.captureWarnings(capture=True)


def audit_lines(settings: Settings) -> Callable[[Iterable[AuditEntry]], None]:
    """Returns the function that writes entries of the audit trail, as `configure_logs` would write
    them.

    There may be thousands in a second: for each of them structlog would take as long as a tenth of
    a call.
    """
    shown = settings.log_level in (LogLevel.DEBUG, LogLevel.INFO)
    line_of = _json_line if settings.log_format is LogFormat.JSON else _console_line

    def write(entries: Iterable[AuditEntry]) -> None:
        written = datetime.now(UTC).isoformat()
        if shown and (lines := [visible(line_of(audit_line(e), written)) for e in entries]):
            _Sturdy().write("\n".join([*lines, ""]))

    return write


def _json_line(line: AuditLine, written: str) -> str:
    facts = encode_line(line).decode().removeprefix('{"kind":"audit",')
    return f'{{"event":"audit","level":"info","timestamp":"{written}",{facts}'


def _console_line(line: AuditLine, written: str) -> str:
    shown = {**asdict(line), "time": line.time.isoformat(), "roles": ",".join(line.roles)}
    facts = [f"{name}={fact}" for name, fact in shown.items() if fact]
    return f"{written} [info     ] audit {' '.join(facts)}"


def _all_visible(_: object, __: str, event: EventDict) -> EventDict:
    return {name: visible(fact) if type(fact) is str else fact for name, fact in event.items()}


class _Sturdy:
    """Writes to standard error.

    A line that cannot be written, for example on a full disk, must not stop the server.
    """

    def write(self, text: str) -> None:
        with suppress(OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()
