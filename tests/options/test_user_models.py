"""A model of the user's own, in a file outside the package."""

import re
import sys
import textwrap

import pytest
import yaml

import recbole_micro
from recbole_micro import cli, options
from recbole_micro.errors import UserError
from recbole_micro.models.registry import MODELS
from recbole_micro.options import user_models
from recbole_micro.options.config import find_model
from recbole_micro.options.values import parse
from recbole_micro.studies import pool
from recbole_micro.tuning import hyperopt_engine, study
from tests.support.processes import ROOT, SCRIPT, run_warm
from tests.support.tiny import QUICK

BLEND = '''\
from recbole_micro.models.base import MultimodalRecommender


class Blend(MultimodalRecommender):
    """x_u . (x_i + sum_m W_m f_i^m), trained with BPR."""

    loss_names = ("BPR", "L2")
    defaults = {"embedding_size": 32, "reg_weight": 1e-4, "freeze_features": True, "blend_share": 0.5}

    def __init__(self, config, dataset):
        super().__init__(config, dataset)  # self.modalities: aligned features and masks
        self.backbone = self.backbone_of("MF", config["embedding_size"])  # or "LightGCN", "NGCF"
        self.transforms = self.feature_transforms(config)
        self.share, self.reg_weight = config["blend_share"], config["reg_weight"]

    def forward(self):
        user, item = self.backbone()
        return user, item + self.share * sum(transform() for transform in self.transforms)

    def calculate_loss(self, interaction):
        users, positives, negatives = self.batch(interaction)
        user, item = self.forward()
        vectors = user[users], item[positives], item[negatives]
        l2 = sum(part.square().sum() for part in vectors) / len(users)
        return self.bpr_loss(*vectors), self.reg_weight * l2
'''


@pytest.fixture
def blend(own_models, tmp_path):
    """The file of a model of one's own."""
    file = tmp_path / "blend.py"
    file.write_text(BLEND)
    return file


@pytest.fixture
def fixed(given, blend):
    """Options of a quick training that knows the file."""
    return {**given, "plugins": str(blend)}


def arguments(**given):
    return [f"--{name}={value}" for name, value in given.items()]


def quick(folder, **more):
    named = {name: value for name, value in QUICK.items() if name not in ("topk", "embedding_size")}
    return {**named, "topk": "[5]", "data_path": str(folder), **more}


def test_script_and_checkpoint_in_fresh_processes(tiny_data, tmp_path):
    file = tmp_path / "blend.py"
    file.write_text(BLEND)
    given = quick(tiny_data, plugins="blend.py", model="Blend", dataset="tiny", blend_share=0.25)
    ran = run_warm(SCRIPT, *arguments(**given), cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert re.search(r"BPR.*L2", ran.stdout + ran.stderr)
    (checkpoint,) = (tmp_path / "saved").glob("Blend-*[0-9].pth")
    code = textwrap.dedent(
        """
        import sys, recbole_micro
        from recbole_micro.errors import UserError
        try:
            recbole_micro.load(sys.argv[1])
        except UserError as error:
            print("refused:", error)
        config, model, *_ = recbole_micro.load(sys.argv[1], plugins=sys.argv[2])
        print(type(model).__name__, config["blend_share"], config["embedding_size"])
        """
    )
    read = run_warm("-c", code, checkpoint, file, cwd=tmp_path)
    assert read.returncode == 0, read.stderr
    assert "Blend 0.25 32" in read.stdout
    assert f"refused: The checkpoint's model Blend comes from {file}" in read.stdout


def test_the_docs_show_this_model():
    page = ROOT / "docs" / "extending.md"
    if not page.is_file():
        pytest.skip("an installed package has no docs/")
    assert BLEND in page.read_text(encoding="utf-8")


def test_a_model_that_inherits_from_a_known_one_has_its_options(blend, fixed):
    heirs = """
        from recbole.model.general_recommender.lightgcn import LightGCN
        from recbole_micro.models.micro import MICRO


        class Heir(MICRO):
            defaults = {"knn_k": 3}


        class Light(LightGCN):
            pass
    """
    blend.write_text(textwrap.dedent(heirs))
    for name, chosen in {"Heir": {"knn_k": 3, "tau": 0.5, "beta": 0.03}, "Light": {"n_layers": 2}}.items():
        config = recbole_micro.Config(name, "tiny", config_dict=fixed)
        assert {option: config[option] for option in chosen} == chosen
        assert recbole_micro.run(name, "tiny", config_dict=fixed, saved=False)["test_result"]
    assert options.declared("Heir", "tiny")["cf_model"].kinds[0].choices == ("MF", "NGCF", "LightGCN")


def test_a_default_tells_the_kind(fixed):
    with pytest.raises(UserError, match="blend_share is 'abc' .*allowed: number"):
        recbole_micro.Config("Blend", "tiny", config_dict={**fixed, "blend_share": "abc"})
    config = recbole_micro.Config("Blend", "tiny", config_dict={**fixed, "embedding_size": "16"})
    assert config["embedding_size"] == 16 and type(config["embedding_size"]) is int


def test_run_and_recommend(blend, fixed, capsys):
    result = recbole_micro.run("Blend", "tiny", config_dict=fixed)
    assert result["checkpoint"].endswith(".pth") and "Blend-" in result["checkpoint"]
    asked = ["recommend", f"--checkpoint={result['checkpoint']}", f"--plugins={blend}", "--topk=1"]
    assert cli.main(asked) == 0
    assert "user_id,rank,item_id,score" in capsys.readouterr().out


@pytest.mark.parametrize("place", ["dictionary", "file"])
def test_tuner_before_anything_else_has_read_the_file(blend, given, tmp_path, place):
    named = {"plugins": str(blend)}
    fixed = {**given, "model": "Blend", "dataset": "tiny"}
    (tmp_path / "plugins.yaml").write_text(yaml.safe_dump(named))
    more = {"config_dict": {**fixed, **named}}
    if place == "file":
        more = {"config_dict": fixed, "config_file_list": [str(tmp_path / "plugins.yaml")]}
    space = {"choice": {"blend_share": [0.1, 0.9]}}
    assert len(hyperopt_engine.hyper_tuning(space, algo="exhaustive", **more).params2result) == 2


def test_study_whose_best_options_train_by_themselves(blend, tiny_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fixed = quick(tiny_data, model="Blend", dataset="tiny", plugins="blend.py")
    options_of = {name: parse(str(value)) for name, value in fixed.items()}
    study.tune({"choice": {"blend_share": [0.1]}}, options_of, tmp_path / "study", algo="exhaustive")
    best = ["--config_files=study/best.yaml", f"--data_path={fixed['data_path']}"]
    ran = run_warm(SCRIPT, *best)
    assert ran.returncode == 0, ran.stderr


@pytest.fixture
def two_files(blend, tiny_data, tmp_path, monkeypatch):
    """A comparison whose own YAML file, in the working directory, names two files there by a text."""
    monkeypatch.chdir(tmp_path)
    blend.with_name("other.py").write_text(BLEND.replace("class Blend", "class Other"))

    def compare(plugins, models):
        (tmp_path / "own.yaml").write_text(f"plugins: {plugins}\n")
        fixed = arguments(**quick(tiny_data, dataset="tiny", config_files="own.yaml"))
        return cli.main(["compare", f"--models={models}", "--vary=blend_share=0.2", "--out=study", *fixed])

    return compare


def test_compare_varies_the_options_of_models_in_several_files(two_files):
    assert two_files("[blend.py, other.py]", "Other") == 0


def test_names_of_files_may_be_one_text(two_files, tmp_path, monkeypatch):
    found = []
    monkeypatch.setattr(pool, "run_all", lambda runs, *_, **__: found.extend(runs) or sys.exit(7))
    with pytest.raises(SystemExit):
        two_files("blend.py,other.py", "Blend,Other")
    assert [run.model for run in found] == ["Blend", "Other"]
    files = [str(tmp_path / name) for name in ("blend.py", "other.py")]
    assert all(run.options["plugins"] == files for run in found)


def test_options_come_from_a_yaml_file_beside_the_model(blend, capsys):
    blend.with_name("Blend.yaml").write_text("blend_share: 0.3  # (float 0..1) Share of the features.\n")
    assert cli.main(["train", f"--plugins={blend}", "--model=Blend", "--help"]) == 0
    assert "--blend_share = 0.3\n" in capsys.readouterr().out
    assert cli.main(["train", "--plugins", str(blend), "--model=Blend", "--blend_shar=1"]) == 2
    assert "blend_share" in capsys.readouterr().err
    wrong = ["--dataset=tiny", "--blend_share=7"]
    assert cli.main(["train", "--plugins", str(blend), "--model=Blend", *wrong]) == 2
    assert "Option blend_share" in capsys.readouterr().err


def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not(blend):
    user_models.load(str(blend))
    first = find_model("Blend")
    user_models.load(str(blend))
    assert find_model("Blend") is first
    blend.write_text(BLEND.replace("0.5}", "0.75}"))
    user_models.load([str(blend)])
    assert find_model("Blend") is not first
    assert options.plugin_defaults("model/Blend.yaml")["blend_share"] == 0.75


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (BLEND.replace("class Blend", "class MICRO"), "there is a model MICRO"),
        (BLEND.replace("class Blend", "class bpr"), "there is a model BPR"),
        ("x = 1\n", "defines no model"),
        (None, "There is no file"),
    ],
)
def test_files_that_cannot_be_used_are_refused(blend, text, part):
    if text is None:
        blend.unlink()
    else:
        blend.write_text(text)
    with pytest.raises(UserError, match=part):
        user_models.load(str(blend))
    assert "Blend" not in options.model_names()


def test_a_broken_options_file_is_refused(blend):
    blend.with_name("Blend.yaml").write_text("blend_share: 0.3  # (flaot) Share.\n")
    with pytest.raises(UserError, match="Blend.yaml cannot be read .*flaot"):
        user_models.load(str(blend))


def test_a_recommender_of_recbole_s_own_kind(blend):
    own = "class Plain(BPR):\n    defaults = {'plain_x': 3}\n"
    blend.write_text("from recbole.model.general_recommender import BPR\n\n\n" + own)
    user_models.load(str(blend))
    assert options.plugin_defaults("model/Plain.yaml") == {"embedding_size": 64, "plain_x": 3}
    assert find_model("Plain").__name__ == "Plain"
    assert "BPR" not in MODELS
