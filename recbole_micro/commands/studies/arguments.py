"""What the commands of studies share: seeds, engines, the options that hold for every run."""

from typing import Any

from recbole_micro import options
from recbole_micro.commands.arguments import config_files, positive, read_arguments
from recbole_micro.errors import UserError
from recbole_micro.studies import runs

ON_RAY = ("engine", "threads", "address")
ON_RAY_HELP = """\
  --engine=NAME      local: processes of this machine; ray: tasks of a Ray cluster (default: local)

With --engine=ray:
  --address=HOST:N   a running cluster, or auto (default: Ray on this machine alone)
  --threads=N        threads of a run (default: the cores shared out; 1 on a cluster)
"""


def read_fixed(argv: list[str]) -> dict[str, Any]:
    """The options of `train` in the arguments and in their `--config_files`, which hold for every run."""
    given = read_arguments(argv)
    return runs.read_options(config_files(given.pop("config_files", "")), given)


def read_seeds(own: dict[str, str], fixed: dict[str, Any]) -> list[int]:
    """The seeds of `--seeds`; `--seed`, the first of them, is taken out of the fixed options."""
    first = options.declared("", "")["seed"].read(fixed.pop("seed", 2020), "as the first seed")
    return runs.read_seeds(own.get("seeds", "1"), first)


def engine(own: dict[str, str]) -> Any:
    """Where the runs of a study go, from `--engine`, `--address` and `--threads`; None: on this machine."""
    name, threads = own.get("engine", "local"), positive(own, "threads")
    if name == "ray":
        from recbole_micro.studies.cluster import Cluster

        return Cluster(own.get("address"), threads)
    if name != "local":
        raise UserError(f"There is no engine {name!r}: choose local or ray.")
    if alone := [option for option in ON_RAY[1:] if option in own]:
        raise UserError(f"--{alone[0]} belongs to the engine ray: add --engine=ray.")
    return None
