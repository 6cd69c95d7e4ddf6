"""The command: forms of arguments, help, exit codes."""

import re
import subprocess

import pytest
from recbole.trainer import Trainer

from recbole_micro import __version__, cli, options
from recbole_micro.commands.arguments import config_files, read_arguments
from recbole_micro.commands.train import launch_options
from recbole_micro.errors import UserError
from recbole_micro.options.config import command_line
from recbole_micro.training import quick_start
from tests.support.processes import SCRIPT, run_python, start
from tests.support.tiny import QUICK, write_tiny


@pytest.mark.parametrize(
    ("argv", "given"),
    [
        (["--model=MICRO", "--dataset", "baby"], {"model": "MICRO", "dataset": "baby"}),
        (["--model=MICRO", "--freeze_features", "--tau=1e-1"], {"freeze_features": "True", "tau": "1e-1"}),
        (["--show_progress", "False", "--world_size", "-1"], {"show_progress": "False", "world_size": "-1"}),
        (["--data_path=x=a=b"], {"data_path": "x=a=b"}),
        (["--gpu_id="], {"gpu_id": ""}),
        (["--topk", "[5, 10]", "--topk=[5, 10]"], {"topk": "[5, 10]"}),
    ],
)
def test_forms_of_arguments(argv, given):
    read = read_arguments(argv)
    assert {name: read[name] for name in given} == given


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--epoch=3"], r"no option --epoch; did you mean epochs\?"),
        (["--lambda=0.3"], r"no option --lambda; did you mean lambda_coeff\?"),
        (["--zzzzzz=3"], "no option --zzzzzz; --help lists them"),
        (["epochs=3"], "'epochs=3' belongs to no option"),
        (["--epochs=3", "5"], "'5' belongs to no option"),
        (["-x"], "'-x' belongs to no option"),
        (["--epochs=3", "--epochs", "4"], "--epochs is given twice, as '3' and '4'"),
        (["--epochs"], "--epochs needs a value"),
        (["--epochs", "--seed=1"], "--epochs needs a value"),
        (["--"], "no option --"),
    ],
)
def test_refused_arguments(argv, sentence):
    with pytest.raises(UserError, match=sentence):
        read_arguments(argv)


def test_several_files_of_options(tmp_path):
    spaced = tmp_path / "a b.yaml"
    spaced.write_text("seed: 1\n")
    assert config_files(str(spaced)) == [str(spaced)]
    assert config_files("a.yaml b.yaml") == config_files("[a.yaml, b.yaml]") == ["a.yaml", "b.yaml"]
    assert config_files("") == []


def test_launch_options_come_from_files_and_the_command_line(tmp_path):
    file = tmp_path / "launch.yaml"
    file.write_text("nproc: 2\nport: 1234\n")
    given = {"port": "99", "seed": "1"}
    assert launch_options([str(file)], given) == {"nproc": 2, "port": 99}
    assert given == {"seed": "1"}
    with pytest.raises(UserError, match="nproc is '0'"):
        launch_options([], {"nproc": "0"})


def test_train_hands_over_what_was_given(tmp_path, monkeypatch):
    runs = []
    monkeypatch.setattr(quick_start, "train", lambda *arguments: runs.append((arguments, command_line())))
    file = tmp_path / "mine.yaml"
    file.write_text("model: BPR\ndataset: tiny\n")
    assert cli.main(["train", f"--config_files={file}", "--epochs=3"]) == 0
    assert runs == [((None, None, [str(file)], {}, True), {"epochs": "3"})]


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["trian"], "There is no subcommand 'trian'; did you mean train?"),
        (["train", "--model=Micro", "--dataset=tiny"], "There is no model 'Micro'; did you mean MICRO?"),
        (["train", "--model=Blend", "--dataset=tiny"], "no model 'Blend'; --help lists them, --plugins=FILE"),
        (["train", "--model=Micro", "--help"], "There is no model 'Micro'; did you mean MICRO?"),
        (["train", "--dataset=tiny"], "No model is chosen"),
        (
            ["train", "--model=MICRO", "--dataset=t", "--knn_k=-1"],
            "knn_k is '-1' (on the command line); allowed: ",
        ),
        (["train", "--model=MICRO", "--dataset=t", "--cf_model=GCN"], "allowed: one of MF, NGCF, LightGCN."),
        (["train", "--model=MICRO", "--dataset=t", "--config_files=no.yaml"], "no.yaml cannot be read"),
    ],
)
def test_mistakes_are_one_line_and_code_2(argv, sentence, capsys):
    assert cli.main(argv) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert sentence in printed.err


@pytest.fixture
def tiny(tiny_data):
    """Arguments of a short training."""
    options = {**QUICK, "model": "BPR", "dataset": "tiny", "data_path": tiny_data, "epochs": 3}
    return ["train", *(f"--{name}={value}" for name, value in options.items())]


@pytest.mark.parametrize("option", ["checkpoint_dir", "data_path"])
def test_a_folder_that_cannot_be_made_is_one_line(tiny, option, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    argv = [argument for argument in tiny if not argument.startswith(f"--{option}")]
    argv = [*argv, f"--{option}={tmp_path / 'file' / 'below'}"]
    if option == "data_path":
        argv[argv.index("--dataset=tiny")] = "--dataset=ml-100k"  # which is prepared there
    assert cli.main(argv) == 2
    problem = capsys.readouterr().err.splitlines()[-1]
    assert problem.startswith(f"error: {tmp_path / 'file'}") and "check the path and its" in problem


def test_an_absent_package_is_one_line(monkeypatch, capsys):
    def train(*arguments):
        raise ModuleNotFoundError("No module named 'faiss'", name="faiss")

    monkeypatch.setattr(quick_start, "train", train)
    assert cli.main(["train", "--model=NCL", "--dataset=tiny"]) == 2
    assert capsys.readouterr().err == "error: The package faiss is not installed: pip install faiss-cpu.\n"


def test_an_interrupt_says_how_to_go_on(tiny, monkeypatch, capsys):
    epoch = Trainer._train_epoch

    def interrupted_in(number):
        def train_epoch(self, train_data, epoch_idx, *args, **kwargs):
            if epoch_idx == number:
                raise KeyboardInterrupt
            return epoch(self, train_data, epoch_idx, *args, **kwargs)

        return train_epoch

    monkeypatch.setattr(Trainer, "_train_epoch", interrupted_in(0))
    assert cli.main(tiny) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "Interrupted. No checkpoint was written yet."
    monkeypatch.setattr(Trainer, "_train_epoch", interrupted_in(1))
    assert cli.main(tiny) == 130
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("Interrupted. Go on after the last complete epoch with --resume=saved/BPR-")
    monkeypatch.setattr(Trainer, "_train_epoch", epoch)
    resume = re.search(r"--resume=\S+\.pth", said)[0]
    assert cli.main(["train", resume]) == 0


def test_bugs_keep_their_traceback(monkeypatch):
    monkeypatch.setattr(quick_start, "train", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.main(["train", "--model=BPR", "--dataset=tiny"])


def test_help_and_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"recbole_micro {__version__}\n"
    for argv in ([], ["--help"]):
        assert cli.main(argv) == 0
        assert "train" in capsys.readouterr().out
    for command in cli.COMMANDS:
        assert cli.main([command, "--help"]) == 0
        assert f"recbole-micro {command} " in capsys.readouterr().out.partition("Example:")[2]


def test_a_reader_who_has_read_enough_is_no_error():
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with start(SCRIPT, "--model=MICRO", "--help", **pipes) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


@pytest.mark.parametrize("command", [name for name in cli.COMMANDS if name not in ("data", "doctor")])
def test_a_command_without_arguments_says_what_it_needs(command, capsys):
    assert cli.main([command]) == 2
    said = capsys.readouterr().err
    assert re.search("--?model|--checkpoint|--table|--lists|DIR", said) and len(said.splitlines()) == 1


def test_help_of_a_model_lists_defaults_ranges_and_texts(capsys):
    assert cli.main(["train", "--model", "MICRO", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "--cf_model = LightGCN (one of MF, NGCF, LightGCN) Collaborative backbone" in text
    default = options.plugin_defaults("model/MICRO.yaml")["lambda_coeff"]
    assert f"--lambda_coeff = {default} (number 0..1) " in text
    assert (
        text.index("--lambda_coeff")
        < text.index("--epochs")
        < text.index("--load_col")
        < text.index("--nproc")
    )
    assert "Presets: " in text
    assert cli.main(["train", "--model=LightGCN", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "LightGCN: --embedding_size = 64 (whole number >= 1) The embedding size" in text
    assert "--knn_k" not in text


def test_the_run_script_trains(tmp_path):
    write_tiny(tmp_path / "dataset")
    file = tmp_path / "mine.yaml"
    file.write_text("".join(f"{name}: {value!r}\n" for name, value in QUICK.items()))
    arguments = ["--model=MICRO", "--dataset", "tiny", f"--config_files={file}", "--epochs=3"]
    ran = run_python(SCRIPT, *arguments, "--mlp_hidden_size=__import__('os').mkdir('made')", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "epoch 2 training" in ran.stderr.replace("\x1b[1;32m", "")
    assert "test result" in ran.stderr
    assert len(list((tmp_path / "saved").glob("MICRO-*[0-9].pth"))) == 1
    assert not (tmp_path / "made").exists()


@pytest.mark.slow
def test_any_script_under_an_ascii_locale(tmp_path):
    """Stands for Windows, whose locale is seldom UTF-8."""
    interactions = write_tiny(tmp_path / "dataset", features=False) / "tiny/tiny.inter"
    head, *rows = interactions.read_text(encoding="utf-8").splitlines()
    interactions.write_text("\n".join([head, *("杨" + row for row in rows)]), encoding="utf-8")
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    options = [f"--{name}={value}" for name, value in QUICK.items()]
    ran = run_python(SCRIPT, "--model=BPR", "--dataset=tiny", *options, cwd=tmp_path, **locale)
    assert ran.returncode == 0, ran.stderr
    (checkpoint,) = (tmp_path / "saved").glob("BPR-*[0-9].pth")
    command = "import sys; from recbole_micro.cli import main; sys.exit(main())"
    asked = ["-c", command, "recommend", f"--checkpoint={checkpoint}", "--users=all", "--topk=3"]
    ran = run_python(*asked, cwd=tmp_path, **locale)
    assert ran.returncode == 0, ran.stderr
    assert "\\u6768" in ran.stdout
    ran = run_python(*asked, "--out=lists.csv", cwd=tmp_path, **locale)
    assert ran.returncode == 0, ran.stderr
    assert "\n杨" in (tmp_path / "lists.csv").read_text(encoding="utf-8")
    words = ["recommend", f"--checkpoint={checkpoint}", "--topk=3"]
    ran = run_python("-c", command, *words, "--users=杨u1", cwd=tmp_path, **locale)
    assert ran.returncode == 0 and ran.stdout.count("\\u6768u1,") == 3, ran.stderr
    ran = run_python("-c", command, *words, "--users=usér1", cwd=tmp_path, **locale)
    assert ran.returncode == 2 and "has no user us\\xe9r1: " in ran.stderr
    ran = run_python("-c", command, *words, "--out=é.csv", "--users", "杨u1", cwd=tmp_path, **locale)
    assert ran.returncode == 0 and (tmp_path / "é.csv").is_file(), ran.stderr
