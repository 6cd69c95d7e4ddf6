"""Data sets in which a share of the items lacks features."""

import json

import numpy as np
import pytest

from dataset_tools.__main__ import main
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from dataset_tools.operations.joining import export_text
from dataset_tools.operations.splitting.missing import chosen, remove_features
from tests.support.tiny import write_tiny

ITEMS = 16


@pytest.fixture
def folder(tmp_path):
    return write_tiny(tmp_path, parts=True)


def rows(folder, name, modality):
    values, mask = Dataset(name, folder).matrix(modality)
    items = np.array(Dataset(name, folder).items)
    return {item: tuple(row) for item, row in zip(items[mask], values[mask], strict=True)}


def test_a_larger_share_chooses_the_same_items_and_more_whatever_their_order():
    items = [f"i{number}" for number in range(100)]
    shares = [chosen(items, share, 7) for share in (0.1, 0.4, 0.9)]
    assert [len(found) for found in shares] == [10, 40, 90]
    assert shares[0] < shares[1] < shares[2]
    assert chosen(items[::-1], 0.4, 7) == shares[1] != chosen(items, 0.4, 8)


@pytest.mark.parametrize("modalities", [[], ["visual"]])
def test_the_chosen_items_lack_their_rows_and_the_rest_is_as_it_was(folder, modalities):
    command = ["split", "tiny", "--missing", "0.4", "--seed", "3", "--data-path", str(folder)]
    assert main(command + (["--modality", *modalities] if modalities else [])) == 0
    gone = chosen(Dataset("tiny", folder).items, 0.4, 3)
    assert len(gone) == 6
    for modality in ("textual", "visual"):
        before, after = (rows(folder, name, modality) for name in ("tiny", "tiny-missing"))
        affected = modality in (modalities or ["textual", "visual"])
        assert after == {item: row for item, row in before.items() if not affected or item not in gone}
    for part in ("train", "valid", "test"):
        files = (folder / name / f"{name}.{part}.inter" for name in ("tiny", "tiny-missing"))
        assert len({file.read_text() for file in files}) == 1
    record = json.loads((folder / "tiny-missing" / "tiny-missing.missing.json").read_text())
    assert record["share"] == 0.4 and record["seed"] == 3
    whole = [] if modalities else sorted(gone)
    assert record["lacking"] == {"textual": whole, "visual": sorted(gone)}


def test_items_that_lacked_a_modality_before_are_in_the_record(folder):
    remove_features(Dataset("tiny", folder), 0.25, modalities=["textual"], seed=1, name="once")
    remove_features(Dataset("once", folder), 0.25, modalities=["visual"], seed=2, name="twice")
    record = json.loads((folder / "twice" / "twice.missing.json").read_text())
    items = Dataset("tiny", folder).items
    expected = {"textual": chosen(items, 0.25, 1), "visual": chosen(items, 0.25, 2)}
    assert record["lacking"] == {m: sorted(found) for m, found in expected.items()}
    assert not (folder / "twice" / "once.missing.json").exists()


def test_half_stays_half_and_a_text_form_does_not_keep_the_rows(folder):
    home = folder / "tiny"
    export_text(Dataset("tiny", folder), "visual")
    command = ["features", "--input", str(home / "tiny.visual.parquet"), "--modality", "visual"]
    assert main([*command, "--name", "tiny", "--half", "--force", "--data-path", str(folder)]) == 0
    remove_features(Dataset("tiny", folder), 0.5)
    made = Dataset("tiny-missing", folder)
    assert made.features("visual").half and not made.features("textual").half
    assert not (folder / "tiny-missing" / "tiny-missing.visual").exists()
    assert len(rows(folder, "tiny-missing", "visual")) == ITEMS // 2


@pytest.mark.parametrize(
    "given, sentence",
    [
        ({"share": 0.0}, "must lie between 0 and 1"),
        ({"share": 1.0}, "must lie between 0 and 1"),
        ({"share": 0.01}, "is none: choose a larger one"),
        ({"share": 0.99}, "No item would have textual features"),
        ({"share": 0.5, "modalities": ["audio"]}, "no features of the modality 'audio'; it has textual"),
        ({"share": 0.5, "name": "tiny"}, "tiny would lose its features: choose another --to-name"),
    ],
)
def test_what_cannot_be_done_is_refused(folder, given, sentence):
    with pytest.raises(DataError, match=sentence):
        remove_features(Dataset("tiny", folder), **given)
    assert not (folder / "tiny-missing").exists()


def test_features_in_text_form_alone_are_refused_and_so_are_none(folder):
    export_text(Dataset("tiny", folder), "visual")
    (folder / "tiny" / "tiny.visual.parquet").unlink()
    with pytest.raises(DataError, match="tiny.visual is RecBole's text form, which is not rewritten"):
        remove_features(Dataset("tiny", folder), 0.5)
    for path in (folder / "tiny").glob("tiny.*ual*"):
        path.unlink()
    with pytest.raises(DataError, match="has no features; add them"):
        remove_features(Dataset("tiny", folder), 0.5)


@pytest.mark.parametrize("more", [["--how", "ratio"], ["--cold", "0.2"]])
def test_it_is_a_step_of_its_own(folder, more, capsys):
    assert main(["split", "tiny", "--missing", "0.4", *more, "--data-path", str(folder)]) != 0
    assert "--missing leaves the interactions as they are" in capsys.readouterr().err


def test_a_modality_without_a_share_is_refused(folder, capsys):
    assert main(["split", "tiny", "--modality", "visual", "--data-path", str(folder)]) != 0
    assert "add --missing SHARE" in capsys.readouterr().err


def test_a_later_split_keeps_the_record_and_a_cold_split_its_list(folder):
    main(["split", "tiny", "--cold", "0.3", "--data-path", str(folder)])
    remove_features(Dataset("tiny-cold", folder), 0.4, name="both")
    assert (folder / "both" / "both.cold.json").is_file()
    main(["split", "both", "--how", "ratio", "--to-name", "again", "--data-path", str(folder)])
    assert (folder / "again" / "again.missing.json").is_file()
    assert not (folder / "again" / "again.cold.json").exists()
