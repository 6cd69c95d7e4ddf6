"""The steps for all rows together against RecBole's own, row by row: tables, ids, splits."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from recbole.data.dataset import Dataset

import recbole_micro
from recbole_micro.data import many_rows
from recbole_micro.data.dataset import create
from recbole_micro.data.many_rows import ManyRows, is_plain
from tests.support.tiny import write_tiny

COLUMNS = {"usecols": ["u:token", "r:float"], "dtype": {"u:token": str, "r:float": np.float64}}
OPTIONS = {"delimiter": "\t", "encoding": "utf-8", "engine": "python"}
cell = st.one_of(
    st.sampled_from(["", "NA", "null", "nan", "None", " 7", "007", "1e5", "a b", "é", "0.1", "-inf", "1_0"]),
    st.integers().map(str),
    st.floats(allow_nan=False).map(repr),
    st.text(st.characters(blacklist_characters='\t\n\r"\0', blacklist_categories=["Cs"]), max_size=4),
)


def outcome(read):
    try:
        return read()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.lists(cell, min_size=3, max_size=3), max_size=6), end=st.sampled_from(["", "\n"]))
def test_a_plain_file_is_read_as_recbole_reads_it(rows, end, tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "x.inter"
    lines = ["u:token\tr:float\tx:token", *("\t".join(row) for row in rows)]
    path.write_text("\n".join(lines) + end, encoding="utf-8")
    wanted = outcome(lambda: pd.read_csv(path, **OPTIONS, **COLUMNS))
    found = outcome(lambda: ManyRows.read_table(path, **OPTIONS, **COLUMNS))
    if isinstance(wanted, str):
        assert found == wanted
    else:
        pd.testing.assert_frame_equal(found, wanted, check_exact=True)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("a\tb\n1\t2\n", True),
        ("a\tb\n1\t2", True),
        ("a\n1\n2\n", True),
        ("a\n1\n\n2\n", False),
        ("a\n1\n \n2\n", False),
        ("a\tb\n1\n", False),
        ("a\tb\n1\t2\t3\n1\n", False),
        ('a\tb\n1\t"2"\n', False),
        ("a\tb\r\n1\t2\r\n", False),
        ("a\tb\n1\t\0\n", False),
    ],
)
@pytest.mark.parametrize("block", [1 << 24, 1, 3])
def test_what_is_plain(text, plain, block, tmp_path, monkeypatch):
    monkeypatch.setattr(many_rows, "BLOCK", block)
    (tmp_path / "x").write_bytes(text.encode())
    assert is_plain(tmp_path / "x", "\t", "utf-8") == plain
    assert not is_plain(tmp_path / "x", "\t", "latin-1") and not is_plain(tmp_path / "x", "::", "utf-8")


OURS = ("read_table", "_filter_by_inter_num", "_remap", "split_by_ratio", "leave_one_out")


@pytest.fixture
def both(tmp_path, monkeypatch):
    """A data set of columns of all kinds by RecBole's own steps and by ours, split with these options."""
    folder = write_tiny(tmp_path, users=30, items=24, columns=True)

    def built(**options):
        parts = []
        for own in (False, True):
            with monkeypatch.context() as patch:
                if not own:
                    for name in OURS:
                        patch.delattr(ManyRows, name)
                config = recbole_micro.Config(
                    "BPR", "tiny", config_dict={"data_path": str(folder), "topk": [5], **options}
                )
                torch.manual_seed(3)
                dataset = create(config, checked=True)
                assert isinstance(dataset, ManyRows) and isinstance(dataset, Dataset)
                parts.append((dataset, dataset.build()))
        return parts

    return built


SPLITS = [
    {"split": {"RS": [0.8, 0.1, 0.1]}},
    {"split": {"RS": [3, 1, 2]}, "group_by": None},
    {"split": {"RS": [1, 0, 1]}},
    {"split": {"RS": [0.5, 0.5, 0]}},
    {"split": {"LS": "valid_and_test"}},
    {"split": {"LS": "valid_only"}},
    {"split": {"LS": "test_only"}},
]


@pytest.mark.parametrize("args", SPLITS, ids=str)
def test_ids_and_parts_are_recboles(both, args):
    (theirs, their_parts), (ours, our_parts) = both(eval_args=args, load_col=None)
    assert theirs.field2type == ours.field2type and len(their_parts) == len(our_parts) == 3
    for field, tokens in theirs.field2id_token.items():
        assert tokens.dtype == ours.field2id_token[field].dtype
        assert (tokens == ours.field2id_token[field]).all()
        assert dict(ours.field2token_id[field]) == theirs.field2token_id[field]
    for one, other in zip(their_parts, our_parts, strict=True):
        assert list(one.inter_feat.interaction) == list(other.inter_feat.interaction)
        for name, column in one.inter_feat.interaction.items():
            assert column.dtype == other.inter_feat[name].dtype
            assert torch.equal(column, other.inter_feat[name])
    assert len(our_parts[0].inter_feat) > 0


FILTERS = [
    {"user_inter_num_interval": "[6,inf)", "item_inter_num_interval": "[12,inf)"},
    {"item_inter_num_interval": "(9,13];[15,20)"},
    {"user_inter_num_interval": "[8,10]", "item_inter_num_interval": "[0,17)"},
    {"item_inter_num_interval": "[0,14)", "load_col": {"inter": ["user_id", "item_id"]}},
]


@pytest.mark.parametrize("filters", FILTERS, ids=str)
def test_filters_by_number_are_recboles(both, filters):
    (theirs, _), (ours, _) = both(**{"load_col": None, "eval_args": {"split": {"RS": [1, 1, 1]}}, **filters})
    for part in ("inter_feat", "user_feat", "item_feat"):
        one, other = getattr(theirs, part), getattr(ours, part)
        assert (one is None) == (other is None)
        for name in [] if one is None else one.interaction:
            assert torch.equal(one[name], other[name])
    assert 0 < len(ours.inter_feat) < 300
    for field, tokens in theirs.field2id_token.items():
        assert (tokens == ours.field2id_token[field]).all()


def test_tokens_that_are_missing_become_the_padding(both, tmp_path):
    path = tmp_path / "tiny" / "tiny.item"
    head, *rows = path.read_text().splitlines()
    kinds = ["" if number % 3 else f"k{number % 5}" for number in range(len(rows))]
    lines = [f"{head}\tkind:token", *map("\t".join, zip(rows, kinds, strict=True))]
    path.write_text("\n".join(lines) + "\n")
    (theirs, _), (ours, _) = both(load_col=None)
    values = ours.item_feat["kind"]
    assert torch.equal(theirs.item_feat["kind"], values) and (values[1:] == 0).sum() == kinds.count("")


def test_ids_of_tokens_are_a_dictionary_that_waits():
    known = many_rows.TokenIds(np.array(["[PAD]", "a", "b"]))
    assert "data" not in vars(known)
    assert known["b"] == 2 and "c" not in known and known.get("c") is None and len(known) == 3
    known["c"] = 3
    assert pd.Series(["a", "c", "d"]).map(known).fillna(0).tolist() == [1, 3, 0]
