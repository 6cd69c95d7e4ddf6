"""What RecBole and the libraries below it raise for a user's mistake in options and data, as one sentence."""

import inspect
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import recbole
from recbole.config import Config as RecBoleConfig
from recbole.utils import dataset_arguments

import dataset_tools
from recbole_micro.data import batches, interaction, many_rows, pairs, sampler
from recbole_micro.errors import UserError
from recbole_micro.evaluation import arrays

# Options on which the data depend.
DATA_ARGUMENTS = {
    *dataset_arguments, "eval_args", "train_neg_sample_args", "numerical_features", "discretization",
    "encoding", "token_num_threshold",
}  # fmt: skip
RECBOLE, *OURS = (
    str(Path(str(file)).parent) + os.sep
    for file in (recbole.__file__, Path(__file__).parent, dataset_tools.__file__)
)

IN_ITS_STEAD = tuple(
    str(module.__file__) for module in (batches, interaction, many_rows, pairs, sampler, arrays)
)


@contextmanager
def mistakes_of_data(config: RecBoleConfig) -> Iterator[None]:
    """Say in one sentence what RecBole, or pandas below it, ends with while it reads and splits data.

    Errors that begin with a line of our own are faults of ours, and pass.
    """
    try:
        yield
    except (UserError, OSError, MemoryError):
        raise
    except Exception as error:
        # RecBole says it of a user who has every item: there is no negative to draw.
        if "have interacted with all items" in str(error):
            raise UserError(str(error)) from error
        if not is_of_recbole(error, config):
            raise
        raise UserError(
            f"RecBole cannot read the data set {config['dataset']} with these options ({reason(error)}): "
            f"look into the options for data that you gave{given(config, data=True)}, and into the files in "
            f"{config['data_path']}."
        ) from error


@contextmanager
def mistakes_of_model(config: RecBoleConfig, doing: str) -> Iterator[None]:
    """Say in one sentence what one of RecBole's models ends with while it is `built` or `trained`.

    The options of RecBole's models and trainers have no ranges, and no checks of what goes with what.  Errors
    that begin with a line of any other model pass: they are faults.
    """
    try:
        yield
    except (UserError, OSError, ImportError, MemoryError):
        raise
    except Exception as error:
        together = doing == "trained" and not config["single_spec"]  # another process may have ended
        if together or not is_of_recbole(error, config):
            raise
        if isinstance(error, KeyError) and isinstance(error.args[0], str):
            raise UserError(missing_column(config, error.args[0])) from error
        raise UserError(
            f"{config['model']} cannot be {doing} with these options and data ({reason(error)}): look into "
            f"the options that you gave{given(config)}, and choose those of its paper or fewer."
        ) from error


def missing_column(config: RecBoleConfig, name: str) -> str:
    """A sentence on a column that a model asks for in vain."""
    label = " (threshold makes labels)" if name == config["LABEL_FIELD"] else ""
    return (
        f"{config['model']} needs the column {name} of the data, which is not there: read it with "
        f"load_col{label}, or choose another model."
    )


def is_of_recbole(error: BaseException, config: RecBoleConfig) -> bool:
    """Whether a line of RecBole's brought an error about, rather than one of ours or of the user's own model.

    The last line of either decides; what a library below raises is due to who called it.  Modules that do in
    RecBole's stead what it did by rows count as RecBole's.
    """
    model = inspect.getsourcefile(config.model_class) or ""
    lines = [one.filename for one in traceback.extract_tb(error.__traceback__)]
    lines = [file for file in lines if file.startswith((RECBOLE, *OURS, model))]
    return bool(lines) and lines[-1].startswith((RECBOLE, *IN_ITS_STEAD))


def reason(error: BaseException) -> str:
    """What an error says, and the last of RecBole's functions that it came through."""
    lines = traceback.extract_tb(error.__traceback__)
    through = [one.name for one in lines if one.filename.startswith(RECBOLE)]
    return f"{type(error).__name__} in {through[-1]}: {' '.join(str(error).split())[:200]}"


def given(config: RecBoleConfig, data: bool = False) -> str:
    """The options that the user gave, in brackets: those for data, or the others."""
    names = [name for name in getattr(config, "given", {}) if (name in DATA_ARGUMENTS) or not data]
    return f" ({', '.join(names[:8])})" if names else ""
