"""Training in several processes of one machine."""

import json
import signal

import pytest

from recbole_micro import load, run
from recbole_micro.errors import UserError
from recbole_micro.training import launch
from tests.support.processes import free_port, run_code, taken_port


def test_an_interrupt_of_the_first_process_alone_ends_the_others(monkeypatch):
    """One that an interrupt of its own does not end is killed."""
    done = []

    class Stubborn:
        pid = 7

        def join(self, timeout):
            pass

        def is_alive(self):
            return True

        def kill(self):
            done.append("killed")

    def interrupted(*arguments, **named):
        monkeypatch.setattr(launch.mp, "active_children", lambda: [Stubborn()])
        raise KeyboardInterrupt

    monkeypatch.setattr(launch.mp, "spawn", interrupted)
    monkeypatch.setattr(launch.os, "kill", lambda *arguments: done.append(arguments))
    with pytest.raises(KeyboardInterrupt):
        run("BPR", "tiny", nproc=2)
    assert done == [(7, signal.SIGINT), "killed"]


PROCESSES = """
import json
import sys
import recbole_micro

if __name__ == "__main__":
    given, port = json.loads(sys.argv[1]), sys.argv[2]
    result = recbole_micro.run("MICRO", "tiny", config_dict=given, nproc=2, port=port)
    print(json.dumps(result["test_result"]), result["checkpoint"])
"""


@pytest.mark.slow
def test_two_processes_train_on_the_cpu(given, tmp_path):
    ran = run_code(PROCESSES, json.dumps(given), str(free_port()), cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    result, checkpoint = ran.stdout.strip().splitlines()[-1].rsplit(" ", 1)
    assert 0 < json.loads(result)["recall@5"] < 1
    assert load(checkpoint)[1].training


@pytest.mark.slow
def test_a_mistake_in_several_processes_is_one_sentence(given):
    with pytest.raises(UserError, match="no option 'knn_kk'"):
        run("MICRO", "tiny", config_dict={**given, "knn_kk": 1}, nproc=2, port=free_port())


@pytest.mark.slow
def test_a_taken_port_is_one_sentence(given):
    with (
        taken_port() as port,
        pytest.raises(UserError, match=f"cannot meet at tcp://localhost:{port}.*--port"),
    ):
        run("BPR", "tiny", config_dict=given, nproc=2, port=port)
