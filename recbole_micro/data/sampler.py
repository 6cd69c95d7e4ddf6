"""RecBole's samplers of negatives: the same draws, tested for all rows at once.

For the same state of NumPy's generator the ids are those of RecBole's own classes, bit for bit.
"""

from collections import deque

import numpy as np
import torch
from recbole.sampler import KGSampler as RecBoleKGSampler
from recbole.sampler import RepeatableSampler as RecBoleRepeatableSampler
from recbole.sampler import Sampler as RecBoleSampler
from recbole.sampler.sampler import AbstractSampler
from torch import Tensor

from recbole_micro.data.pairs import UsedIds

EVERYTHING = (
    "Some users have interacted with all items, which we can not sample negative items for them. "
    "Please set `user_inter_num_interval` to filter those users."
)


class OnWholeArrays(AbstractSampler):
    """What the samplers share: draws by RecBole's methods, rejected ones found by arrays (mix-in)."""

    def taken(self, keys: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Whether each value must not be drawn for the key at the same place, bool."""
        return self.used_ids.contains(keys, values)

    def sample_by_key_ids(self, key_ids, num: int) -> Tensor:
        """`num` values for each key, as RecBole's: the first of all keys, then the second of all, ..."""
        keys = np.tile(np.asarray(key_ids), num)
        values = self.sampling(len(keys)).astype(np.int64, copy=False)
        left = np.flatnonzero(self.taken(keys, values))
        while len(left):
            values[left] = drawn = self.sampling(len(left))
            left = left[self.taken(keys[left], drawn)]
        return torch.from_numpy(values)

    def one_after_another(self, users: np.ndarray, items: np.ndarray, sizes: np.ndarray) -> Tensor:
        """Negatives for blocks of places, each of one user: what a call for each user would draw, [n].

        `users`, `items` [n]: the user and the positive item of each place; `sizes`: the places of each block.
        """
        return self.draw_blocks(users, sizes)

    def draw_blocks(self, keys: np.ndarray, sizes: np.ndarray) -> Tensor:
        """A value for the key of each place, block after block."""
        ends = np.cumsum(sizes)
        if self.distribution == "uniform":
            return torch.from_numpy(self.from_one_stream(keys, ends))
        values = np.empty(len(keys), dtype=np.int64)
        for start, end in zip(ends - sizes, ends, strict=True):  # a value takes two draws, of different kinds
            values[start:end] = self.sample_by_key_ids(keys[start:end], 1)
        return torch.from_numpy(values)

    def from_one_stream(self, keys: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """`draw_blocks` where the draws of two calls are those of one call for both.

        The blocks are filled from one stream of draws up to the first that has a rejected value; what comes
        next in the stream replaces it, and the blocks that follow go on from there.
        """
        values = np.empty(len(keys), dtype=np.int64)
        stream = self.sampling(len(keys))
        filled = read = 0
        while filled < len(keys):
            values[filled:] = stream[read : read + len(keys) - filled]
            left = filled + np.flatnonzero(self.taken(keys[filled:], values[filled:]))
            if not len(left):
                break
            end = ends[np.searchsorted(ends, left[0], side="right")]
            read, filled, left = read + end - filled, end, left[left < end]
            while len(left):
                stream = np.concatenate([stream, self.sampling(len(left))])
                values[left] = stream[read : read + len(left)]
                read += len(left)
                left = left[self.taken(keys[left], values[left])]
        return values

    def _build_alias_table(self) -> None:
        """RecBole's table for draws by popularity, as arrays: `candidates`, `prob` and `alias` [n]."""
        drawn = np.asarray(self._get_candidates_list())
        ids, begin, counts = np.unique(drawn, return_index=True, return_counts=True)
        order = np.argsort(begin)
        # Python's numbers: NumPy's powers and sums differ in the last digit.
        prob = [pow(count / len(drawn), self.alpha) for count in counts[order].tolist()]
        total = sum(prob)
        prob = [share / total * len(prob) for share in prob]
        alias = list(range(len(prob)))
        large = deque(place for place, share in enumerate(prob) if share > 1)
        small = deque(place for place, share in enumerate(prob) if share < 1)
        while large and small:
            more, less = large.popleft(), small.popleft()
            alias[less] = more
            prob[more] = prob[more] - (1 - prob[less])
            if prob[more] < 1:
                small.append(more)
            elif prob[more] > 1:
                large.append(more)
        self.candidates, self.prob = ids[order], np.array(prob)
        self.alias = self.candidates[alias]

    def _pop_sampling(self, sample_num: int) -> np.ndarray:
        place = np.random.randint(0, len(self.candidates), sample_num)
        own = self.prob[place] > np.random.random(sample_num)
        return np.where(own, self.candidates[place], self.alias[place])


class Sampler(OnWholeArrays, RecBoleSampler):
    """Negatives that a user has in no phase up to this one; `used_ids` are `UsedIds`."""

    def _get_candidates_list(self) -> np.ndarray:
        return np.concatenate([np.asarray(one.inter_feat[self.iid_field]) for one in self.datasets])

    def get_used_ids(self) -> dict[str, UsedIds]:
        """The items of each user by phase, those of earlier phases among them."""
        used, so_far = {}, UsedIds(np.empty(0, dtype=np.int64), self.user_num, self.item_num)
        for phase, dataset in zip(self.phases, self.datasets, strict=True):
            pairs = dataset.inter_feat
            so_far |= UsedIds.of(pairs[self.uid_field], pairs[self.iid_field], self.user_num, self.item_num)
            used[phase] = so_far
        if (so_far.counts + 1 == self.item_num).any():
            raise ValueError(EVERYTHING)
        return used


class RepeatableSampler(OnWholeArrays, RecBoleRepeatableSampler):
    """Negatives that are another item than the positive one of the same row."""

    def _get_candidates_list(self) -> np.ndarray:
        return np.asarray(self.dataset.inter_feat[self.iid_field])

    def get_used_ids(self) -> UsedIds:
        """No user has used items."""
        return UsedIds(np.empty(0, dtype=np.int64), self.user_num, self.item_num)

    def taken(self, keys: np.ndarray, values: np.ndarray) -> np.ndarray:
        return keys == values

    def sample_by_user_ids(self, user_ids, item_ids, num: int) -> Tensor:
        """`num` negatives for each row; the users do not matter."""
        return self.sample_by_key_ids(item_ids, num)

    def one_after_another(self, users: np.ndarray, items: np.ndarray, sizes: np.ndarray) -> Tensor:
        """Here the positive items stand for what must not be drawn."""
        return self.draw_blocks(items, sizes)


class KGSampler(OnWholeArrays, RecBoleKGSampler):
    """Tails that a head of the knowledge graph has not."""

    def _get_candidates_list(self) -> np.ndarray:
        return np.concatenate([np.asarray(self.hid_list), np.asarray(self.tid_list)])

    def get_used_ids(self) -> UsedIds:
        """The tails of each head."""
        used = UsedIds.of(self.hid_list, self.tid_list, self.entity_num, self.entity_num)
        if (used.counts + 1 == self.entity_num).any():
            raise ValueError(
                "Some head entities have relation with all entities, which we can not sample negative "
                "entities for them."
            )
        return used


OURS: dict[type, type] = {
    RecBoleSampler: Sampler,
    RecBoleRepeatableSampler: RepeatableSampler,
    RecBoleKGSampler: KGSampler,
}
