"""Several gloo processes against one: metrics, weights, graphs, checkpoints; launching and its errors."""

import contextlib
import json
import os
import re
import signal
import subprocess
import time

import pytest

from recbole_micro import cli, distributed, run
from recbole_micro.errors import UserError
from recbole_micro.options.config import Config
from tests.support import ddp_worker
from tests.support.processes import ROOT, SCRIPT, free_port, start, taken_port
from tests.support.tiny import QUICK, write_tiny

USERS = 23  # RecBole would rank one user twice in two processes, and in three
RANKING = [
    "Recall", "MRR", "NDCG", "NDCG_hits", "Hit", "MAP", "Precision", "GAUC", "ItemCoverage",
    "AveragePopularity", "GiniIndex", "ShannonEntropy", "TailPercentage",
]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Folder with the tiny data set and a cold-start split of it."""
    from dataset_tools.__main__ import main

    folder = write_tiny(tmp_path_factory.mktemp("data"), users=USERS)
    assert main(["split", "tiny", "--cold", "0.3", "--seed", "2", "--data-path", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def given(data, tmp_path_factory):
    saved = tmp_path_factory.mktemp("saved")
    return {**QUICK, "data_path": str(data), "checkpoint_dir": str(saved), "eval_batch_size": 16 * 4}


def torchrun(*arguments: str, cwd, **options) -> subprocess.Popen:
    """Start torchrun with two processes, or as `options` say."""
    options = {"nproc_per_node": "2", "master_addr": "127.0.0.1", "master_port": str(free_port()), **options}
    flags = [f"--{name}={value}" for name, value in options.items()]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return start("-m", "torch.distributed.run", *flags, *arguments, cwd=cwd, **pipes)


def outputs(*processes: subprocess.Popen) -> list[str]:
    """What they print until they end by themselves; a hang is an error."""
    with contextlib.ExitStack() as stack:
        for process in processes:
            stack.callback(process.kill)
        return [process.communicate(timeout=200)[0] for process in processes]


def cases(given: dict) -> dict:
    """Everything that is measured on the same checkpoint."""
    ranking = {**given, "metrics": RANKING}
    sampled = {"split": {"RS": [0.5, 0.2, 0.3]}, "group_by": "user", "order": "RO"}
    values = {"metrics": ["AUC", "LogLoss"], "valid_metric": "AUC"}
    return {
        "all metrics": ["measure", "MICRO", "tiny", ranking, None],
        "cold start": ["measure", "MICRO", "tiny-cold", ranking, None],
        "sampled": ["measure", "MICRO", "tiny", {**ranking, "eval_args": {**sampled, "mode": "uni3"}}, None],
        "values": [
            "measure",
            "BPR",
            "tiny",
            {**given, **values, "eval_args": {**sampled, "mode": "pop3"}},
            None,
        ],
        "one batch": ["measure", "MICRO", "tiny", {**given, "eval_batch_size": 16 * 64}, None],
    }


@pytest.fixture(scope="module")
def one(given):
    """The checkpoint and what one process measures on it."""
    checkpoint = run("MICRO", "tiny", config_dict=given)["checkpoint"]
    work = cases(given)
    work["all metrics"][-1] = work["sampled"][-1] = work["one batch"][-1] = checkpoint
    return work, {name: ddp_worker.measure(*arguments) for name, (_, *arguments) in work.items()}


def together(one, given, folder, processes: int) -> list[dict]:
    """What each of several processes measures, and trains."""
    trained = {**given, "epochs": 3, "edge_dropout": 0.5, "graph_learning": "first_batch"}
    work = {**one[0], "train": ["train", "MICRO", "tiny", trained]}
    (folder / "work.json").write_text(json.dumps(work))
    arguments = [str(ROOT / "tests" / "support" / "ddp_worker.py"), "work.json", "."]
    process = torchrun(*arguments, cwd=folder, nproc_per_node=str(processes))
    (printed,) = outputs(process)
    assert process.returncode == 0, printed
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(processes)]


@pytest.fixture(scope="module")
def two(one, given, tmp_path_factory):
    return together(one, given, tmp_path_factory.mktemp("two"), 2)


def check_metrics(one: dict, several: list[dict]) -> None:
    for name, expected in one[1].items():
        assert len({value for result in expected.values() for value in result.values()}) > 2
        for rank in several:
            assert list(rank[name]) == list(expected)
            for part, result in expected.items():
                assert rank[name][part] == pytest.approx(result, abs=1e-9, rel=0), (name, part)


def check_training(several: list[dict]) -> None:
    """Weights, learned graphs and sampled edges are the same everywhere; so are decisions and files."""
    first, *others = (rank["train"] for rank in several)
    for result in (first, *others):
        assert len(result["differences"]) == 3
        assert all(len(row) == 10 and max(row) == 0 for row in result["differences"])  # weights, 3 graphs
    for other in others:
        for same in ("scores", "test", "file"):
            assert other[same] == first[same]
        assert other["own draws"] != first["own draws"]
    assert os.path.basename(first["file"]).endswith(".pth")


def test_two_processes_measure_what_one_measures(one, two):
    check_metrics(one, two)


def test_two_processes_keep_one_model(two, given):
    check_training(two)
    folder = given["checkpoint_dir"]
    assert os.path.isfile(two[0]["train"]["file"])
    assert not [name for name in os.listdir(folder) if not name.endswith(".pth")], "half-written files"


@pytest.mark.slow
def test_three_processes_do_as_well(one, given, tmp_path):
    several = together(one, given, tmp_path, 3)
    check_metrics(one, several)
    check_training(several)


def environment(monkeypatch, rank: int, local_rank: int, world_size: int) -> None:
    """As torchrun sets it, with two processes per machine."""
    values = dict(
        RANK=rank, LOCAL_RANK=local_rank, WORLD_SIZE=world_size, LOCAL_WORLD_SIZE=2, MASTER_PORT=29500
    )
    for name, value in values.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("MASTER_ADDR", "10.0.0.7")


def test_what_torchrun_says(monkeypatch):
    assert distributed.torchrun() is None
    environment(monkeypatch, 3, 1, 4)
    group = {"nproc": 2, "world_size": 4, "ip": "10.0.0.7", "port": 29500, "offset": 2, "local_rank": 1}
    assert distributed.torchrun() == group
    environment(monkeypatch, 0, 0, 1)
    assert distributed.torchrun() is None, "one process trains as without torchrun"
    environment(monkeypatch, 3, 1, 4)
    monkeypatch.delenv("MASTER_ADDR")
    assert distributed.torchrun() is None


@pytest.mark.parametrize("more", [{"nproc": 2}, {"world_size": 4}, {"port": 99}, {"group_offset": 1}])
def test_launch_options_beside_torchrun_are_refused(given, monkeypatch, more):
    environment(monkeypatch, 0, 0, 4)
    with pytest.raises(UserError, match="leave out nproc, world_size"):
        run("BPR", "tiny", config_dict=given, **more)


def test_launch_options_beside_a_torchrun_of_one_process_are_refused(given, monkeypatch):
    """Processes of our own would look for the others in torchrun's store."""
    environment(monkeypatch, 0, 0, 1)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    with pytest.raises(UserError, match="leave out nproc, world_size"):
        run("BPR", "tiny", config_dict=given, nproc=2)


@pytest.mark.parametrize("command", ["compare", "tune", "reproduce", "recommend"])
def test_other_commands_refuse_torchrun(monkeypatch, capsys, command):
    environment(monkeypatch, 0, 0, 4)
    assert cli.main([command, "--models=BPR", "--dataset=tiny"]) == 2
    assert (
        capsys.readouterr().err
        == f"error: {command} is one process, which may start others: leave out torchrun.\n"
    )


def test_a_group_that_is_too_small_is_refused(given):
    with pytest.raises(UserError, match="world_size is 3, but group_offset 2 and nproc 2 make more"):
        run("BPR", "tiny", config_dict=given, nproc=2, world_size=3, group_offset=2)


@pytest.mark.parametrize(
    "rank, sentence", [(0, "start the missing ones .*--join_timeout"), (1, "first machine has started")]
)
def test_processes_that_never_come_are_one_sentence(given, rank, sentence):
    group = dict(world_size=2, ip="127.0.0.1", port=free_port(), offset=rank, nproc=1)
    with pytest.raises(
        UserError, match=rf"cannot meet at tcp://127.0.0.1:{group['port']} \(.*\): .*{sentence}"
    ):
        Config("BPR", "tiny", config_dict={**given, **group, "local_rank": 0, "join_timeout": 1})


def test_a_port_that_is_taken_is_one_sentence(given):
    with taken_port() as port:
        group = dict(world_size=2, ip="localhost", port=port, nproc=2, local_rank=0)
        with pytest.raises(UserError, match=r"cannot meet at .*: choose another --port"):
            Config("BPR", "tiny", config_dict={**given, **group})


def test_only_lost_peers_become_a_sentence():
    with pytest.raises(RuntimeError, match="shape"), distributed.together():
        raise RuntimeError("shape of a store")


FAILING = """
import os
import re
import torch.distributed as dist
from recbole_micro.models.base import MultimodalRecommender


class Failing(MultimodalRecommender):
    defaults = {"embedding_size": 8, "how": "not"}

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        self.backbone, self.how, self.epoch = self.backbone_of("MF", 8), config["how"], 0

    def start_epoch(self):
        self.epoch += 1

    def forward(self):
        return self.backbone()

    def calculate_loss(self, interaction):
        users, positives, negatives = self.batch(interaction)
        if self.epoch == 2 and dist.get_rank() == 1 and self.how == "crash":
            raise ArithmeticError("broken on purpose")
        if self.epoch == 2 and dist.get_rank() == 1 and self.how == "exit":
            os._exit(9)
        user, item = self.forward()
        return self.bpr_loss(user[users], item[positives], item[negatives])
"""

LAUNCH = """
import json
import sys
import recbole_micro

if __name__ == "__main__":
    given, group = map(json.loads, sys.argv[1:])
    sys.argv = sys.argv[:1]
    try:
        result = recbole_micro.run("Failing", "tiny", config_dict=given, **group)
        print(json.dumps(result["test_result"]))
    except Exception as error:
        print(type(error).__name__, str(error).replace(chr(10), " "))
"""


@pytest.fixture
def failing(given, tmp_path):
    """Start processes (options of `run`) that train a model which fails in the second process."""
    (tmp_path / "failing.py").write_text(FAILING)
    (tmp_path / "launch.py").write_text(LAUNCH)

    def launch(how: str, **group) -> subprocess.Popen:
        options = {
            **given,
            "epochs": 4,
            "how": how,
            "plugins": str(tmp_path / "failing.py"),
            "state": "ERROR",
        }
        pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return start("launch.py", json.dumps(options), json.dumps(group), cwd=tmp_path, **pipes)

    return launch


LOST = r"UserError Another process of this training has ended .*\(\w+ [^/]*\)\."


@pytest.mark.slow
@pytest.mark.parametrize(
    "how, message",
    [
        ("crash", "RuntimeError A process of this training failed:.*broken on purpose"),
        ("exit", "UserError (Another|A) process of this training (has )?ended"),
    ],
)
def test_a_failing_process_ends_the_others(failing, how, message):
    (printed,) = outputs(failing(how, nproc=2, port=free_port()))
    assert re.match(message, printed)


@pytest.mark.slow
@pytest.mark.parametrize(
    "how, first, second",
    [("crash", LOST, "RuntimeError .*broken on purpose"), ("not", r'\{"recall@5"', r'\{"recall@5"')],
)
def test_two_launches_stand_in_for_two_machines(failing, how, first, second):
    group = dict(nproc=1, world_size=2, ip="127.0.0.1", port=free_port())
    printed = outputs(failing(how, **group), failing(how, **group, group_offset=1))
    assert re.match(first, printed[0]) and re.match(second, printed[1]), printed


@pytest.mark.slow
@pytest.mark.parametrize("meeting", ["static", "c10d"])
def test_two_torchrun_agents_stand_in_for_two_machines(given, data, tmp_path, meeting):
    """The command line of the README on the synthetic data set, one process per agent."""
    port, common = str(free_port()), {"nnodes": "2", "nproc_per_node": "1"}
    if meeting == "c10d":
        common |= dict(
            rdzv_backend="c10d", rdzv_endpoint=f"127.0.0.1:{port}", rdzv_id="x", local_addr="127.0.0.1"
        )
    else:
        common["master_port"] = port
    options = {**given, "data_path": str(data), "topk": "5", "epochs": "2"}
    train = [str(SCRIPT), "--model=MICRO", "--dataset=tiny"]
    train += [f"--{name}={value}" for name, value in options.items()]
    agents = [torchrun(*train, cwd=tmp_path, **common, node_rank=str(rank)) for rank in range(2)]
    printed = outputs(*agents)
    assert [agent.returncode for agent in agents] == [0, 0], printed
    results = [re.findall(r"test result.*: (\{.*?\})", text) for text in printed]
    assert len(results[0]) == 1 and results[0] == results[1]


@pytest.mark.slow
def test_torchrun_ends_with_a_failing_process(given, tmp_path):
    (tmp_path / "failing.py").write_text(FAILING)
    options = {**given, "topk": "5", "how": "crash", "epochs": "4", "plugins": "failing.py"}
    train = [str(SCRIPT), "--model=Failing", "--dataset=tiny"]
    process = torchrun(*train, *(f"--{name}={value}" for name, value in options.items()), cwd=tmp_path)
    (printed,) = outputs(process)
    assert process.returncode != 0
    assert "ArithmeticError: broken on purpose" in printed


def test_an_interrupt_of_several_processes_names_the_checkpoint(data, tmp_path):
    """As of Ctrl-C in a notebook or a queue, which reaches the parent alone."""
    given = {**QUICK, "epochs": 10**6, "stopping_step": 10**6, "data_path": str(data), "port": free_port()}
    options = [f"--{name}={value}" for name, value in given.items()]
    command = [SCRIPT, "--nproc=2", *options, "--model=MICRO", "--dataset=tiny"]
    pipes = dict(stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
    process = start(*command, cwd=tmp_path, **pipes)
    try:
        until = time.monotonic() + 200
        best = "saved/MICRO-*[0-9].pth"
        while not any(tmp_path.glob(best)) and process.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=200)[1]
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130, said
    assert re.search(r"Interrupted. The best epoch so far is in saved/MICRO-\S+.pth: go on", said), said
