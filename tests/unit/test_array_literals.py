from __future__ import annotations

import pytest

from generic_provider_server.store.database.array_literals import array_literal


@pytest.mark.parametrize(
    ("values", "literal"),
    [
        ([], "{}"),
        ([1, -2, None, 2**62], "{1,-2,NULL,4611686018427387904}"),
        (["", "NULL", None, "a b"], '{"","NULL",NULL,"a b"}'),
        (['"', "\\", ",", "{}", "é\n"], '{"\\"","\\\\",",","{}","é\n"}'),
        ([b"", b'\x00\xff"\\'], '{"\\\\x","\\\\x00ff225c"}'),
        ([None, None], "{NULL,NULL}"),
    ],
)
def test_an_array_is_written_as_postgresql_reads_it(values: list[object], literal: str) -> None:
    assert array_literal(values) == literal


def test_a_text_with_nul_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        array_literal(["a", "b\0c"])
