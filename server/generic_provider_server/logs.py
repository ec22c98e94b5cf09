"""Configures the log of a server process."""

from __future__ import annotations

import sys

import structlog

from .config import LogFormat, Settings


def configure_logs(settings: Settings) -> None:
    """Logs to standard error: as lines for people, or as one JSON object per line."""
    json = settings.log_format is LogFormat.JSON
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([structlog.processors.format_exc_info] if json else []),
            structlog.processors.JSONRenderer()
            if json
            else structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level.value),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
