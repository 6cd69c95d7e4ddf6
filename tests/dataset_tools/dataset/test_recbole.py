"""Converted data sets inside RecBole itself."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataset_tools.converters import plain_tables
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.interactions import Builder
from dataset_tools.dataset.reading import Dataset
from tests.support.tokens import acceptable, tokens

pytest.importorskip("recbole")
usable = tokens.filter(acceptable)


def load(folder, name, **options):
    """(Config, RecBole's data set) with MICRO's defaults."""
    from recbole.data import create_dataset

    from recbole_micro import Config

    settings = {"data_path": str(folder), "checkpoint_dir": str(folder / "saved"), **options}
    config = Config(model="BPR", dataset=name, config_dict=settings)
    return config, create_dataset(config)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(usable, min_size=2, max_size=5, unique=True),
    st.lists(usable, min_size=2, max_size=5, unique=True),
    st.booleans(),
    st.data(),
)
def test_any_table_of_tokens_survives_the_way_into_recbole_and_back(
    tmp_path_factory, users, items, fixed, data
):
    folder = tmp_path_factory.mktemp("r")
    cells = [(u, i) for u in users for i in items]
    rows = data.draw(st.lists(st.sampled_from(cells), min_size=1, unique=True))
    builder = Builder(part=fixed)
    for number, (user, item) in enumerate(rows):
        builder.add(user, item, part=number % 3)
    with DatasetFolder(folder, "toy") as target:
        target.write_interactions(builder.build())
        target.write_items(items)
        target.write_features("visual", items, np.arange(len(items), dtype=float)[:, None])
    config, dataset = load(folder, "toy")
    found = dataset.inter_feat
    back = zip(
        dataset.id2token("user_id", np.asarray(found["user_id"])),
        dataset.id2token("item_id", np.asarray(found["item_id"])),
        strict=True,
    )
    assert sorted(back) == sorted(rows)
    assert sorted(dataset.field2id_token["item_id"][1:]) == sorted(items)

    from recbole_micro.data import features

    loaded = features.load(
        {"data_path": config["data_path"], "modalities": None, "missing_share": None, "missing": None},
        dataset,
    )["visual"]
    for number, item in enumerate(items):
        assert loaded.values[dataset.token2id("item_id", item)].item() == number


def test_a_fixed_split_keeps_its_parts_and_items_without_interactions(tmp_path):
    builder = Builder(part=True)
    for user, item, part in [
        ("u", "a", 0),
        ("u", "b", 1),
        ("u", "only tested", 2),
        ("v", "b", 0),
        ("v", "a", 2),
    ]:
        builder.add(user, item, part=part)
    with DatasetFolder(tmp_path, "toy") as folder:
        folder.write_interactions(builder.build())
        folder.write_items(["a", "b", "only tested", "never used"])
    _, dataset = load(tmp_path, "toy")
    assert dataset.item_num == 5
    assert [len(part) for part in dataset.build()] == [2, 1, 2]


def test_titles_that_look_like_missing_values_do_no_harm(tmp_path):
    (tmp_path / "i.csv").write_text("u,i,t\na,x,NA\nb,y,\nc,z,nan nan\n")
    path = tmp_path / "i.csv"
    plain_tables.convert(path, "toy", tmp_path / "data", user="u", item="i", items=path, title="t")
    _, dataset = load(
        tmp_path / "data", "toy", load_col={"inter": ["user_id", "item_id"], "item": ["item_id", "title"]}
    )
    assert dataset.item_num == 4
    assert Dataset("toy", tmp_path / "data").titles() == {"x": "NA", "y": "", "z": "nan nan"}
