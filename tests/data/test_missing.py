"""Data sets that are not there: prepared if they are known, else one sentence."""

import pytest
from recbole.quick_start import run_recbole

from recbole_micro import Config, run
from recbole_micro.data import missing
from recbole_micro.errors import UserError
from tests.support.tiny import write_tiny


def test_a_missing_data_set_is_one_sentence(given, tmp_path):
    for name, sentence in (
        ("baby", "get it with python -m dataset_tools prepare baby --data-path"),
        ("babby", "convert your files .* did you mean baby"),
    ):
        with pytest.raises(UserError, match=sentence):
            run("BPR", name, config_dict={**given, "data_path": str(tmp_path)})


def test_a_known_data_set_is_prepared_on_first_use(given, tmp_path, monkeypatch):
    from dataset_tools.dataset import catalog

    prepared = []

    def prepare(name, data_path):
        prepared.append(name)
        return write_tiny(data_path, name) / name

    monkeypatch.setattr(catalog, "prepare", prepare)
    for start in (run, run_recbole):
        start("MICRO", "ml-100k", config_dict={**given, "data_path": str(tmp_path)})
    assert prepared == ["ml-100k"]


def test_a_missing_part_of_a_fixed_split_counts_as_missing(given, tmp_path):
    folder = write_tiny(tmp_path / "parts", "tiny", parts=True)
    made = Config("BPR", "tiny", config_dict={**given, "data_path": str(folder)})
    assert missing.missing_files(made) == []
    (folder / "tiny" / "tiny.test.inter").unlink()
    assert [path.rsplit("/", 1)[1] for path in missing.missing_files(made)] == ["tiny.test.inter"]
