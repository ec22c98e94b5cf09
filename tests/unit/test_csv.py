"""Tests CSV for spreadsheets."""

from __future__ import annotations

import csv
from io import StringIO

import pytest

from generic_provider_server.desk.output import write_csv


def test_no_cell_of_a_csv_runs_as_a_formula(capsys: pytest.CaptureFixture[str]) -> None:
    cells = ["=1+1", "+1", "-1", "@SUM(A1)", "a=1", "\t=1", 7]
    write_csv(["text"], [[cell] for cell in cells])
    _, *rows = csv.reader(StringIO(capsys.readouterr().out))
    assert [row[0] for row in rows] == ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "a=1", "\\t=1", "7"]
