"""What orders by time orders by the full value, whatever program asks for it."""

import pytest
import torch
from recbole.config import Config as RecBoleConfig
from recbole.data import create_dataset

import recbole_micro

USERS, EVENTS = 30, 6
LEAVE_ONE_OUT = {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"}
START = {
    "seconds": (1_600_000_000, 37),
    "milliseconds": (1_600_000_000_000, 1),
    "nanoseconds": (1_600_000_000_000_000_000, 1_000),
    "before 1970": (-1_600_000_000, 37),
    "fractions": (1_600_000_000.25, 0.5),
}


@pytest.fixture
def clicks(request, tmp_path):
    """Where a data set is whose file is not in the order of time, and the last items of its users."""
    first, step = START[request.param]
    rows = [
        (f"u{u}", f"i{(u * 7 + k * 3) % 40}", first + (u * EVENTS + k) * step)
        for u in range(USERS)
        for k in range(EVENTS)
    ]
    last = {user: item for user, item, _ in rows}
    mixed = [rows[(n * 101) % len(rows)] for n in range(len(rows))]
    (tmp_path / "clicks").mkdir()
    lines = "".join(f"{user}\t{item}\t{time}\n" for user, item, time in mixed)
    (tmp_path / "clicks" / "clicks.inter").write_text(
        "user_id:token\titem_id:token\ttimestamp:float\n" + lines
    )
    return str(tmp_path), last


@pytest.mark.parametrize("clicks", START, indirect=True)
@pytest.mark.parametrize("kind", [RecBoleConfig, recbole_micro.Config])
@pytest.mark.parametrize("model", ["BPR", "GRU4Rec"])
def test_the_last_item_is_the_test_item(clicks, kind, model):
    folder, last = clicks
    columns = {"inter": ["user_id", "item_id", "timestamp"]}
    more = {"train_neg_sample_args": None} if model == "GRU4Rec" else {}
    given = {"data_path": folder, "load_col": columns, "eval_args": LEAVE_ONE_OUT, **more}
    dataset = create_dataset(kind(model, "clicks", config_dict=given))
    test = dataset.build()[2].inter_feat
    found = zip(
        dataset.id2token("user_id", test["user_id"].numpy()),
        dataset.id2token("item_id", test["item_id"].numpy()),
        strict=True,
    )
    assert dict(found) == last
    assert test["timestamp"].dtype == torch.float32, "as everywhere in RecBole"
