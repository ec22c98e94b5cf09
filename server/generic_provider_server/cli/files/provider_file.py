"""Reads the TOML file that describes a provider."""

from __future__ import annotations

import tomllib
from pathlib import Path

import click

from generic_provider import Provider

from .text import Text
from .toml_messages import WrongKeys, fill

OUTPUT_ONLY = ("state", "create_time", "update_time", "etag", "performed_by", "caller")


def read_provider(file: Path) -> Provider:
    message = Provider()
    try:
        with Text(file) as text:
            fill(message, tomllib.loads(text.whole()), output_only=OUTPUT_ONLY, required=("code",))
    except (WrongKeys, tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise click.UsageError(f"{file}: {error}") from None
    return message
