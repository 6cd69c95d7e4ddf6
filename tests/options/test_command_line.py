"""Whose the arguments of the running program are."""

import pytest

from recbole_micro.errors import UserError
from tests.options.shared import make
from tests.support.processes import run_warm

FOREIGN = """
import recbole_micro
from recbole_micro import Config
made = Config("BPR", "tiny")
print("epochs", made["epochs"], "mine", made["my_own"])
"""


def test_a_program_of_ones_own_keeps_its_arguments(tmp_path):
    """RecBole's habit of reading --key=value from any program stays; what is not ours disturbs nothing."""
    arguments = ["input.txt", "-v", "--epochs=7", "--flag", "--name", "value", "--my_own=1/0", "--resume=x"]
    ran = run_warm("-c", FOREIGN, *arguments, cwd=tmp_path)
    assert ran.stdout.split() == ["epochs", "7", "mine", "1/0"], ran.stderr
    assert "no option 'my_own'" in ran.stderr


def test_two_values_for_one_argument_are_refused(monkeypatch):
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    monkeypatch.setattr("sys.argv", ["mine.py", "--epochs=7", "--epochs=7"])
    assert make()["epochs"] == 7
    monkeypatch.setattr("sys.argv", ["mine.py", "--epochs=7", "--epochs=8"])
    with pytest.raises(UserError, match="--epochs is given twice, as '7' and '8'"):
        make()


@pytest.mark.parametrize("program", ["/x/ipykernel_launcher.py", "/x/ray/default_worker.py"])
def test_arguments_of_notebooks_and_ray_workers_are_not_ours(program, monkeypatch):
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    monkeypatch.setattr("sys.argv", [program, "--epochs=7"])
    assert make()["epochs"] == 300
