from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.errors import UserError
from pretrain.tables import Table, cell_text, open_table, table_line, whole_number
from tests.odd_names import NAMES


@given(st.lists(st.tuples(NAMES, st.floats(allow_nan=False)), min_size=1, max_size=4))
def test_every_name_and_number_is_read_back(rows: list[tuple[str, float]]) -> None:
    text = "name,score\n" + "".join(table_line(row) for row in rows)
    text.encode("utf-8")
    table = Table(io.StringIO(text, newline=""), Path("t.csv"))
    assert [(cell_text(name), table.number(score)) for name, score in table.rows()] == rows


@given(NAMES)
def test_no_cell_is_a_formula(name: str) -> None:
    cell = next(csv.reader(io.StringIO(table_line([name]), newline="")))[0]
    is_number = cell.lstrip("+-").isdecimal()
    assert is_number or cell.lstrip(" ")[:1] not in ("=", "+", "-", "@", "\t", "\r", "\n")


def test_plain_cells_are_as_they_were() -> None:
    assert table_line(["a b", -0.5, 3, None, "-0.25", "it's", 'a "b"']) == 'a b,-0.5,3,,-0.25,it\'s,"a ""b"""\n'
    assert table_line(["=1+1"]) == "'=1+1\n"
    assert table_line(["a\rb"]) == '"a\rb"\n'


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_tables_of_other_programs(tmp_path: Path, ends: str, delimiter: str, mark: bytes) -> None:
    path = tmp_path / "t.csv"
    lines = [["name", "frames", "score"], ["a", "450.0", "0,5" if delimiter == ";" else "0.5"]]
    path.write_bytes(mark + "".join(delimiter.join(line) + ends for line in lines).encode())
    with open_table(path) as file:
        table = Table(file, path)
        assert table.header == lines[0]
        assert [(row[0], whole_number(row[1]), table.number(row[2])) for row in table.rows()] == [("a", 450, 0.5)]
        assert table.line == 2


def test_what_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("name\na\n", encoding="utf-16")
    with pytest.raises(UserError, match="not CSV text in UTF-8"):
        open_table(path)
    path.write_text('name\n"a"b\n')
    with open_table(path) as file, pytest.raises(UserError, match=r"t\.csv is not CSV \(line 2: "):
        list(Table(file, path).rows())


@pytest.mark.parametrize("text", ["1.5", "", "x", "inf", "nan", "1e300"])
def test_no_whole_number(text: str) -> None:
    with pytest.raises((ValueError, OverflowError)):
        whole_number(text)


def test_zeros_within_a_table_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"path,label\nx.mp4,0\n\0\0\0\0.mp4,1\n")
    with (
        open_table(tmp_path / "a.csv") as file,
        pytest.raises(UserError, match=r"a\.csv is not CSV .*line 3 has a byte"),
    ):
        list(Table(file, tmp_path / "a.csv").rows())
