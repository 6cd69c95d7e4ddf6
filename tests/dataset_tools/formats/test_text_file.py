"""Rows of text files: the line they begin in, and quotes that do not fit."""

import pytest

from dataset_tools.errors import DataError
from dataset_tools.formats.text_file import BadRows, csv_rows, reading


def rows(path, text, strict=True, skip=False):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(csv_rows(path, ",", strict, BadRows(skip)))


def test_rows_carry_the_line_they_begin_in_and_blank_ones_are_passed_over(tmp_path):
    found = rows(tmp_path / "f.csv", '\ufeffa,b\n\n"1\n2",3\n4,5\n')
    assert found == [(1, ["a", "b"]), (3, ["1\n2", "3"]), (5, ["4", "5"])]


def test_a_quote_that_never_closes_is_refused_with_its_line(tmp_path):
    with pytest.raises(DataError, match="f.csv, line 2: a quote opens in this row and never closes"):
        rows(tmp_path / "f.csv", 'a,b\n"1,2\n3,4\n5,6\n')


def test_text_beside_a_quoted_field_is_told_from_a_row(tmp_path):
    assert rows(tmp_path / "f.csv", '"x" y,1\nz,2\n', skip=True) == [(2, ["z", "2"])]
    with pytest.raises(DataError, match="line 1: text stands beside a quoted field.*--skip-bad"):
        rows(tmp_path / "f.csv", '"x" y,1\n')
    assert rows(tmp_path / "f.csv", '"x" y,1\n', strict=False) == [(1, ["x y", "1"])]


@pytest.mark.parametrize("content", [b"a\xe9,1\n", "a,1\n".encode("utf-16")])
def test_other_text_than_utf_8_is_one_sentence(tmp_path, content):
    for skip in (False, True):
        with pytest.raises(DataError, match="f.csv is not UTF-8 text; convert it first"):
            rows(tmp_path / "f.csv", content, skip=skip)


def test_a_row_that_is_not_utf_8_is_refused_with_its_line_or_skipped(tmp_path):
    text = b'\xef\xbb\xbfid,a\n\xc3\xa9,1\n"x\n\xe9",2\nb,3\n'
    with pytest.raises(DataError, match="f.csv, line 3: the row is not UTF-8 text.*--skip-bad"):
        rows(tmp_path / "f.csv", text)
    bad = BadRows(True)
    found = list(csv_rows(tmp_path / "f.csv", ",", True, bad))
    assert (found, bad.skipped) == ([(1, ["id", "a"]), (2, ["é", "1"]), (5, ["b", "3"])], 1)


def test_an_absent_file_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match="There is no file .*none.csv"), reading(tmp_path / "none.csv"):
        pass
