"""RecBole's data set without a step of Python for every row: the same columns, ids and parts.

What is done here takes vectorised steps where RecBole fills lists and dictionaries row by row; where the data
are of another kind than these steps know, RecBole's own methods do it.
"""

import re
import warnings
from collections import UserDict
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from recbole.data.dataset import Dataset as RecBoleDataset
from recbole.data.interaction import Interaction
from recbole.utils import FeatureType

BLOCK = 1 << 24  # bytes of a file that are looked at together
STRANGE = (b'"', b"\r", b"\0")  # what readers of tables understand in different ways
BLANK = re.compile(rb"^[ \t\v\f]*\n", re.MULTILINE)  # the same, where a line may have no separator


class ManyRows(RecBoleDataset):
    """What a data set of the plugin's does in steps for all rows together (mix-in of RecBole's classes)."""

    @staticmethod
    def read_table(path: str, delimiter: str, encoding: str, engine: str, **columns: Any) -> pd.DataFrame:
        """What pandas reads by `engine`, RecBole's `python`, or in an eighth of the time by its own (`c`).

        RecBole's `_load_feat` calls this; `columns` are its arguments usecols and dtype.
        """
        if is_plain(Path(path), delimiter, encoding):
            try:
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", message="The 'float_precision' argument")
                    options = {"engine": "c", "float_precision": "round_trip"}  # numbers as Python reads them
                    return pd.read_csv(path, delimiter=delimiter, encoding=encoding, **options, **columns)
            except (ValueError, pd.errors.ParserError):
                pass  # the other engine says what is wrong
        return pd.read_csv(path, delimiter=delimiter, encoding=encoding, engine=engine, **columns)

    def _filter_by_inter_num(self) -> None:
        """Drop users and items whose number of interactions lies in no interval, until all others' does."""
        sides = [
            Side(self.inter_feat[field], feat, field, self._parse_intervals_str(self.config[option]))
            for field, feat, option in (
                (self.uid_field, self.user_feat, "user_inter_num_interval"),
                (self.iid_field, self.item_feat, "item_inter_num_interval"),
            )
            if field is not None
        ]
        if len(sides) < 2 or not any(side.intervals for side in sides):
            return
        for side in sides:
            if len(side.intervals or ()) > 1:
                self.logger.warning("More than one interval of interaction number are given!")
        alive = np.ones(len(self.inter_feat), dtype=bool)
        while True:
            banned = [side.banned(alive, self._within_intervals) for side in sides]
            if not any(ids.any() for ids in banned):
                break
            for side, ids in zip(sides, banned, strict=True):
                alive &= ~ids[side.of_row]
        self.inter_feat.drop(self.inter_feat.index[~alive], inplace=True)
        for side in sides:
            if side.feat is not None:
                side.feat.drop(side.feat.index[~side.listed[side.of_feat]], inplace=True)

    def _remap(self, remap_list: list) -> None:
        """Ids of tokens in the order in which they first occur; the dictionary of them waits for its use."""
        if not remap_list or any(kind != FeatureType.TOKEN for _, _, kind in remap_list):
            super()._remap(remap_list)
            return
        columns = [feat[field] for feat, field, _ in remap_list]
        together = columns[0] if len(columns) == 1 else pd.concat(columns, ignore_index=True)
        ids, distinct = pd.factorize(together)
        parts = np.split(ids + 1, np.cumsum([len(column) for column in columns])[:-1])
        tokens = np.array(["[PAD]", *distinct.tolist()])
        known = TokenIds(tokens)
        for (feat, field, _), part in zip(remap_list, parts, strict=True):
            if field not in self.field2id_token:
                self.field2id_token[field], self.field2token_id[field] = tokens, known
            feat[field] = part

    def split_by_ratio(self, ratios: Sequence[float], group_by: str | None = None) -> list[RecBoleDataset]:
        """RecBole's split: each group's rows, in their order, into consecutive parts by these ratios."""
        self.logger.debug(f"split by ratios [{ratios}], group_by=[{group_by}]")
        total = sum(ratios)
        shares = [ratio / total for ratio in ratios]
        order, rank, size = self.grouped_rows(group_by)
        sizes, kind = np.unique(size, return_inverse=True)
        ends = np.array([self._calcu_split_ids(tot=int(count), ratios=shares) for count in sizes], dtype=int)
        ends = ends.reshape(len(sizes), len(shares) - 1)
        part = (rank[:, None] >= ends[kind]).sum(1) if len(shares) > 1 else np.zeros(len(order), dtype=int)
        return self.of_parts(order, part, len(shares))

    def leave_one_out(self, group_by: str | None, leave_one_mode: str) -> list[RecBoleDataset]:
        """RecBole's split: each group's last rows but its first into parts of one."""
        wanted = {"valid_and_test": [1, 2], "valid_only": [1], "test_only": [2]}.get(leave_one_mode)
        if group_by is None or wanted is None:
            return super().leave_one_out(group_by, leave_one_mode)
        self.logger.debug(f"leave one out, group_by=[{group_by}], leave_one_mode=[{leave_one_mode}]")
        order, rank, size = self.grouped_rows(group_by)
        last = size - 1 - rank  # 0 for the last row of a group
        part = np.zeros(len(order), dtype=int)
        for place, number in enumerate(reversed(wanted)):
            part[(last == place) & (rank > 0)] = number
        return self.of_parts(order, part, 3)

    def grouped_rows(self, field: str | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(row, its rank in its group, the group's size) of all rows, [n_rows] each, group by group.

        Groups are those of equal values of `field`, by their first row; None: all rows are one group.
        """
        if field is None:
            rows = np.arange(len(self))
            return rows, rows, np.full(len(rows), len(rows))
        group = pd.factorize(self.inter_feat[field].numpy())[0]
        order = np.argsort(group, kind="stable")
        count = np.bincount(group)
        first = np.cumsum(count) - count
        group = group[order]
        return order, np.arange(len(order)) - first[group], count[group]

    def of_parts(self, order: np.ndarray, part: np.ndarray, count: int) -> list[RecBoleDataset]:
        """The data sets of the rows `order`, by the number of the part of each, 0 to `count` - 1."""
        self._drop_unused_col()
        columns = self.inter_feat.interaction
        datasets = []
        for number in range(count):
            rows = torch.from_numpy(order[part == number])
            datasets.append(self.copy(Interaction({name: column[rows] for name, column in columns.items()})))
        return datasets


class Side:
    """The users, or the items, of a filter by the number of interactions, as codes from 0.

    `of_row`, `of_feat`: the code of each interaction and of each row of the table `feat`; `listed`: which
    codes that table still has.
    """

    def __init__(self, column: pd.Series, feat: pd.DataFrame | None, field: str, intervals: list | None):
        self.feat, self.intervals = feat, intervals
        both = [column] if feat is None else [column, feat[field]]
        codes, distinct = pd.factorize(pd.concat(both, ignore_index=True))
        self.of_row, self.of_feat = codes[: len(column)], codes[len(column) :]
        self.listed = np.zeros(len(distinct), dtype=bool)
        self.listed[self.of_feat] = True

    def banned(self, alive: np.ndarray, within: Callable) -> np.ndarray:
        """Which codes have to go, given which interactions are left; they are no longer `listed` then."""
        if not self.intervals:
            return np.zeros(len(self.listed), dtype=bool)
        count = np.bincount(self.of_row[alive], minlength=len(self.listed))
        few = self.listed & (count < self.intervals[0][1])
        ids = (count > 0) & ~within(count, self.intervals) | few
        self.listed &= ~ids
        return ids


class TokenIds(UserDict):
    """Token -> id of the tokens [n], a dictionary that is made when it is first read or changed."""

    def __init__(self, tokens: np.ndarray):
        self.tokens = tokens

    @cached_property
    def data(self) -> dict[str, int]:  # type: ignore[override]  # where UserDict keeps it
        """The dictionary."""
        return {token: number for number, token in enumerate(self.tokens.tolist())}


def is_plain(path: Path, delimiter: str, encoding: str) -> bool:
    """Whether any reader reads the same in the file: UTF-8, no quotes, as many fields in each line."""
    if encoding.lower().replace("_", "-") not in ("utf-8", "utf8") or len(delimiter.encode()) != 1:
        return False
    separator, fields = delimiter.encode()[0], None
    for block in whole_lines(path):
        if any(sign in block for sign in STRANGE):
            return False
        content = np.frombuffer(block, dtype=np.uint8)
        places = np.flatnonzero(content == separator)
        counts = np.diff(np.searchsorted(places, np.flatnonzero(content == ord("\n"))), prepend=0)
        fields = int(counts[0]) if fields is None else fields
        if (counts != fields).any() or (not fields and BLANK.search(block)):
            return False
    return True


def whole_lines(path: Path) -> Iterator[bytes]:
    """The file's lines in blocks of about BLOCK bytes, the last one ended where it is not."""
    rest = b""
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            head, newline, tail = (rest + block).rpartition(b"\n")
            if newline:
                yield head + newline
            rest = tail
    if rest:
        yield rest + b"\n"
