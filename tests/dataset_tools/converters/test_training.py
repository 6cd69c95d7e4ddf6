"""MICRO on converted data: a small source written by the test, real data where they are there."""

from pathlib import Path

import pytest

from dataset_tools.converters import micro_layout, mmrec_layout

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"


def train(folder, name, **options):
    """One epoch of MICRO; RecBole's result and the modalities that the model has."""
    import recbole_micro

    settings = {"data_path": str(folder), "checkpoint_dir": str(folder / "saved"), "epochs": 1, "gpu_id": ""}
    result = recbole_micro.run("MICRO", name, config_dict={**settings, "show_progress": False, **options})
    model = recbole_micro.load(result["checkpoint"])[1]
    return result, list(model.modalities)


def test_a_small_data_set_in_micro_s_layout(tmp_path, write_micro):
    micro_layout.convert(write_micro(tmp_path / "src"), "toy", tmp_path)
    result, modalities = train(tmp_path, "toy", topk=[2], valid_metric="Recall@2", knn_k=2)
    assert modalities == ["textual", "visual"] and 0 <= result["test_result"]["recall@2"] <= 1


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "lfm2k").is_dir(), reason="the shared data are not here")
def test_last_fm_with_three_modalities(tmp_path):
    mmrec_layout.convert(SHARED / "lfm2k", "lfm2k", tmp_path, rename={"all-MiniLM-L6-v2": "textual"})
    result, modalities = train(tmp_path, "lfm2k")
    assert modalities == ["textual", "vggish", "whisper"]
    assert result["test_result"]["recall@20"] > 0.05


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "baby").is_dir(), reason="the shared data are not here")
def test_baby_with_two_modalities(tmp_path):
    micro_layout.convert(SHARED / "baby", "baby", tmp_path)
    result, modalities = train(tmp_path, "baby")
    assert modalities == ["textual", "visual"] and result["test_result"]["recall@20"] > 0.03
