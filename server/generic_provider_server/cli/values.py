"""What people write after options, and the messages that it stands for."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from google.protobuf.timestamp_pb2 import Timestamp

from generic_provider import ExistingAccount, InstalledItem, ServiceSelection, actions
from generic_provider.enums import Enumeration


class Named(click.Choice[str]):
    """Values of an enumeration by their short names, in small letters: `out-of-sync`."""

    def __init__(self, kind: type[Enumeration], *, without: Iterable[str] = ()) -> None:
        names = [name for name in vars(kind) if name.isupper() and name not in without]
        super().__init__([kebab(name) for name in names], case_sensitive=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        chosen = super().convert(kebab(str(value)), param, ctx)
        return chosen.upper().replace("-", "_")


class Instant(click.ParamType):
    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        try:
            given = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a time like 2030-01-31T18:00+02:00", param, ctx)
        if given.utcoffset() is None:
            self.fail(f"{value!r} has no time zone: write e.g. {value}Z or {value}+02:00")
        return given.astimezone(UTC)


class Parts(click.ParamType):
    """Parts with colons between them; the first ones of `pattern` in brackets may be left out."""

    name = "parts"

    def __init__(self, *names: str, optional: int = 0) -> None:
        self._names, self._optional = names, optional

    @property
    def pattern(self) -> str:
        optional = "".join(f"[{name.upper()}:]" for name in self._names[: self._optional])
        return optional + ":".join(name.upper() for name in self._names[self._optional :])

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, str]:
        if isinstance(value, dict):
            return value
        texts = value.split(":", len(self._names) - 1)
        left_out = len(self._names) - len(texts)
        if left_out > self._optional or "" in texts:
            self.fail(f"{value!r} is not {self.pattern}", param, ctx)
        return dict(zip(self._names[left_out:], texts, strict=True))

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002
        return self.pattern


INSTANT = Instant()
SERVICE = Parts("provider", "distributor", "service", optional=1)
