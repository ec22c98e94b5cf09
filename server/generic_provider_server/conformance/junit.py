"""Writes the verdicts in the format of JUnit."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree as ET

from .rules import RuleVerdict


def write_junit(verdicts: Iterable[RuleVerdict], file: Path, *, error: str = "") -> None:
    """Writes one test case for each verdict, and one for `error`, which says why the check did not
    begin or is not complete.

    A test case is skipped if the rule could not be checked, and failed if the rule is broken.
    """
    cases = list(verdicts)
    words = [each.word for each in cases]
    suite = ET.Element("testsuite", name="generic-provider adapter check")
    errors = [error] if error else []
    tests = len(words) + len(errors)
    counts = {"tests": tests, "failures": words.count("broken"), "errors": len(errors)}
    for name, count in {**counts, "skipped": words.count("not seen")}.items():
        suite.set(name, str(count))
    for verdict in cases:
        case = ET.SubElement(
            suite, "testcase", classname="adapter", name=f"rule {verdict.rule}: {verdict.asks}"
        )
        # XML cannot contain control characters, and an adapter may have sent control characters
        seen = "".join(each if each.isprintable() else "?" for each in verdict.seen)
        match verdict.word:
            case "broken":
                ET.SubElement(case, "failure", message=seen)
            case "not seen":
                ET.SubElement(case, "skipped", message=seen)
            case "kept":
                ET.SubElement(case, "system-out").text = seen
    for message in errors:
        name = "accepts the requests that tests need" if cases else "connects"
        case = ET.SubElement(suite, "testcase", classname="adapter", name=name)
        ET.SubElement(case, "error", message=message)
    ET.ElementTree(suite).write(file, encoding="utf-8", xml_declaration=True)
