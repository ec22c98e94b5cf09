"""`generic-provider archive show` shows the contents of an archive's file without a server."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from google.protobuf.json_format import MessageToDict

from generic_provider import PerformActionRequest

from ..desk.output import json_line, say
from ..store.archives.file import ArchiveFile, DamagedArchive
from ..store.archives.lines import (
    ActionLine,
    AuditLine,
    Content,
    EntryLine,
    RequestLine,
    RunLine,
    encode_line,
)
from .values import Id


def _sha256(_: click.Context, __: click.Parameter, checksum: str) -> str:
    if checksum and not re.fullmatch(r"[0-9a-fA-F]{64}", checksum):
        raise click.BadParameter(f"{checksum} is not a SHA-256, which has 64 hexadecimal digits")
    return checksum.lower()


def _present(_: click.Context, __: click.Parameter, file: Path) -> Path:
    if file.exists():
        return file
    get = f"; generic-provider archive download {file} gets the file of an archive"
    hint = get if re.fullmatch(r"Z\d+", str(file)) else ""
    raise click.BadParameter(f"there is no file {file}{hint}")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), callback=_present)
@click.option(
    "--request",
    "requests",
    type=Id("R"),
    multiple=True,
    help="Show this request with its action and audit entries.",
)
@click.option(
    "--subscription", default="", help="Show all lines about the subscription with this number."
)
@click.option(
    "--reset-run", "run", type=Id("U"), default="", help="Show this reset run, with its entries."
)
@click.option(
    "--checksum", default="", callback=_sha256, help="The SHA-256 that the file should have."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def show(
    *,
    file: Path,
    requests: tuple[str, ...],
    subscription: str,
    run: str,
    checksum: str,
    as_json: bool,
) -> None:
    """Check an archive's FILE and show its contents.

    If the file was cut short or altered, the command shows no contents. The name of the file on the
    server contains a part of the checksum. If the file has another name, an alteration is found for
    certain only with --checksum.
    """
    try:
        found = ArchiveFile(file, checksum=checksum)
        lines = list(_wanted(found, set(requests), subscription, run))
    except DamagedArchive as damaged:
        raise click.ClickException(str(damaged)) from None
    numbers = {line.number for line in lines if isinstance(line, RequestLine)}
    if missing := sorted(set(requests) - numbers):
        raise click.ClickException(f"{file.name} has no request {', '.join(missing)}")
    if run and not any(isinstance(line, RunLine) for line in lines):
        raise click.ClickException(f"{file.name} has no reset run {run}")
    if not (requests or subscription or run):
        _show("archive", _summary(found), as_json=as_json)
    elif not lines:
        say(f"{file.name} has no line about subscription {subscription}", err=True)
    for line in lines:
        facts = _facts(line)
        _show(facts.pop("kind"), facts, as_json=as_json)


def _wanted(
    found: ArchiveFile, requests: set[str], subscription: str, run: str
) -> Iterator[Content]:
    """Yields the lines that the options select.

    It is enough to read the file once, because in the file, an action follows its requests, and the
    audit trail is at the end.
    """
    actions = set()
    for line in found.contents():
        match line:
            case RunLine():
                wanted = line.id == run
            case EntryLine():
                wanted = line.reset_run == run or line.subscription == subscription
            case RequestLine() if line.number in requests:
                actions.add(line.action)
                wanted = True
            case ActionLine() if line.id in actions:
                wanted = True
            case AuditLine() if line.resource and line.resource in {*requests, *actions, run}:
                wanted = True
            case _:
                wanted = bool(subscription) and line.subscription == subscription
        if wanted:
            yield line


def _summary(found: ArchiveFile) -> dict[str, Any]:
    opening: dict[str, Any] = json.loads(encode_line(found.opening))
    return {**opening, "lines": dict(found.counts)}


def _facts(line: Content) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(encode_line(line))
    if "performed" in facts:
        performed = PerformActionRequest.FromString(b64decode(facts["performed"]))
        facts["performed"] = MessageToDict(performed, preserving_proto_field_name=True)
    return facts


def _show(kind: str, facts: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        say(json_line({"kind": kind, **facts}))
        return
    say(kind)
    for name, value in facts.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        say(f"  {name:<18} {text}")
