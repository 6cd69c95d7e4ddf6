"""What RecBole 1.2.0 needs to run on today's NumPy, SciPy, pandas, PyTorch and Ray: one function per cause.

A mend of what a library's version took away looks whether it is gone; one of RecBole's own slips holds for
this version, which setup.py pins.  Each changes RecBole's own classes in place (code that imported them
earlier takes part), and does nothing the second time.
"""

import functools
import inspect
import itertools
import os
import sys
import warnings
from collections import OrderedDict
from collections.abc import Callable
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec
from logging import getLogger
from types import ModuleType, SimpleNamespace

import numpy as np
import torch
import torch.distributed as dist

from recbole_micro.checkpoint import (
    check_ids,
    config_from_plain,
    load_checkpoint,
    restore,
    trainer_state,
    write,
)
from recbole_micro.distributed import from_first

__all__ = ["apply", "config_from_plain", "load_checkpoint", "load_data_and_model"]


def apply() -> None:
    """Apply every mend that this environment needs; idempotent."""
    numpy_aliases()
    absent_ray()  # from here on RecBole can be imported
    for mend in (
        ray_report,
        scipy_dok_update,
        pandas_fillna,
        pandas_agg,
        read_only_columns,
        numpy_results,
        shared_checkpoint_names,
        pickled_checkpoints,
        pickled_pretraining,
        load_function,
        folder_race,
        deprecated_grad_scaler,
        deprecated_sparse_tensors,
        misspelt_warning,
        ngcf_dropout,
        scores_on_cpu,
        diffusion_predict,
        stale_dataset_cache,
    ):
        mend()


def _wrap(owner, name: str, make: Callable) -> None:
    """Replace `owner.name` by `make(original)`, once."""
    original = getattr(owner, name)
    if not hasattr(original, "mended"):
        mended = functools.wraps(original)(make(original))
        mended.mended = True
        setattr(owner, name, mended)


@contextmanager
def _swapped(owner, name: str, value):
    """`owner.name` is `value` inside the block."""
    original = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield original
    finally:
        setattr(owner, name, original)


def numpy_aliases() -> None:
    """NumPy 1.24 and 2.0 removed names that RecBole's Config reads and its metrics use without a Config."""
    names = {
        "float_": np.float64, "complex_": np.complex128, "unicode_": np.str_,
        "float": np.float64, "int": np.int_, "complex": np.complex128, "object": np.object_, "str": np.str_,
    }  # fmt: skip
    for name, kind in names.items():
        if name not in vars(np):
            setattr(np, name, kind)


def absent_ray() -> None:
    """RecBole imports Ray Tune, which it does not require: a stand-in serves that import, then goes away."""
    if "recbole.quick_start.quick_start" in sys.modules:
        return
    try:
        import_module("ray.tune")
        return
    except ImportError:
        pass
    ray, tune = ModuleType("ray"), ModuleType("ray.tune")
    ray.tune, ray.__path__ = tune, []
    names = {"ray": ray, "ray.tune": tune}
    before = {name: sys.modules.get(name) for name in names}
    for name, module in names.items():
        module.__spec__ = ModuleSpec(name, None, is_package=name == "ray")
        sys.modules[name] = module
    try:
        import_module("recbole.quick_start")
    finally:  # a real Ray, installed later, must not be hidden
        for name, module in before.items():
            sys.modules.pop(name)
            if module is not None:
                sys.modules[name] = module


def ray_report() -> None:
    """RecBole calls `tune.report(**metrics)`; today's Ray takes one dictionary, and there may be no Ray."""
    quick_start = import_module("recbole.quick_start.quick_start")
    quick_start.tune = SimpleNamespace(report=_report)


def _report(metrics: dict | None = None, **more) -> None:
    """Report to the running Ray trial; without Ray, nothing."""
    tune = sys.modules.get("ray.tune")
    if tune is None:
        return
    values = {**(metrics or {}), **more}
    kinds = [parameter.kind for parameter in inspect.signature(tune.report).parameters.values()]
    if inspect.Parameter.VAR_KEYWORD in kinds:
        tune.report(**values)
    else:
        tune.report(values)


def scipy_dok_update() -> None:
    """SciPy 1.13 removed `dok_matrix._update`, by which the graph models build their adjacency."""
    from scipy.sparse import dok_matrix

    if not hasattr(dok_matrix, "_update"):
        dok_matrix._update = lambda self, data: self._dict.update(data)


CHAINED = r"A value is (trying to be|being) set on a copy of a DataFrame or Series through chained"


def pandas_fillna() -> None:
    """`frame[field].fillna(inplace=True)` warns under pandas 2 and changes nothing under pandas 3."""
    import pandas as pd
    from recbole.data.dataset import Dataset
    from recbole.utils import FeatureType

    frame = pd.DataFrame({"a": [np.nan]})
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        frame["a"].fillna(0, inplace=True)
    if not frame["a"].isna().any() and not said:
        return

    def fill_nan(original):
        def _fill_nan(self):
            for feat in (getattr(self, name) for name in self.feat_name_list):
                for field in feat:
                    if self.field2type[field] == FeatureType.TOKEN:
                        feat[field] = feat[field].fillna(0)
                    elif self.field2type[field] == FeatureType.FLOAT:
                        feat[field] = feat[field].fillna(feat[field].mean())
            with warnings.catch_warnings():  # on RecBole's own line
                warnings.filterwarnings("ignore", message=CHAINED)
                original(self)

        return _fill_nan

    def load_feat(original):
        def _load_feat(self, filepath, source):
            with _swapped(pd, "read_csv", _read_filled(pd.read_csv)), warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=CHAINED)
                return original(self, filepath, source)

        return _load_feat

    _wrap(Dataset, "_fill_nan", fill_nan)
    _wrap(Dataset, "_load_feat", load_feat)


def _read_filled(read_csv: Callable) -> Callable:
    """`read_csv` for atomic files: empty cells of `name:*_seq` columns are empty strings."""

    def read(*args, **kwargs):
        frame = read_csv(*args, **kwargs)
        sequences = [column for column in frame if column.endswith("_seq")]
        frame[sequences] = frame[sequences].fillna("")
        return frame

    return read


def pandas_agg() -> None:
    """Pandas 3 hands the whole column to `column.agg(len)`, pandas 2 warns; RecBole means each row."""
    import pandas as pd
    from recbole.data.dataset import Dataset, KnowledgeBasedDataset, SequentialDataset

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        if np.ndim(pd.Series([[1], [1, 2]]).agg(len)) == 1 and not said:
            return
    whole = pd.Series.agg

    def agg(self, func=None, *args, **kwargs):
        return self.map(len) if func is len else whole(self, func, *args, **kwargs)

    def make(original):
        def method(self, *args, **kwargs):
            with _swapped(pd.Series, "agg", agg):
                return original(self, *args, **kwargs)

        return method

    for owner, name in (
        (Dataset, "_remap"),
        (Dataset, "_normalize"),
        (Dataset, "_discretization"),
        (KnowledgeBasedDataset, "_reset_ent_remapID"),
        (SequentialDataset, "_benchmark_presets"),
    ):
        _wrap(owner, name, make)


def read_only_columns() -> None:
    """Pandas 3 hands out read-only arrays, at which PyTorch warns; RecBole never writes to them."""
    from recbole.data.dataset import Dataset

    def make(original):
        def _dataframe_to_interaction(self, data):
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
                return original(self, data)

        return _dataframe_to_interaction

    _wrap(Dataset, "_dataframe_to_interaction", make)


def numpy_results() -> None:
    """Since NumPy 2 results print as `np.float64(0.02)`: make them Python numbers."""
    from recbole.evaluator import Evaluator

    def make(original):
        def evaluate(self, dataobject):
            return OrderedDict((name, float(value)) for name, value in original(self, dataobject).items())

        return evaluate

    _wrap(Evaluator, "evaluate", make)


def shared_checkpoint_names() -> None:
    """RecBole names a checkpoint by the second: runs that start together would overwrite each other's."""
    from recbole.trainer import Trainer

    count = itertools.count(1)

    def make(original):
        def __init__(self, config, model):
            original(self, config, model)
            stem, suffix = os.path.splitext(self.saved_model_file)
            self.saved_model_file = f"{stem}-{os.getpid()}-{next(count)}{suffix}"

        return __init__

    _wrap(Trainer, "__init__", make)


def pickled_checkpoints() -> None:
    """RecBole pickles its Config into checkpoints, which PyTorch 2.6 refuses to open, and rightly so."""
    from recbole.trainer import trainer

    def save(original):
        def _save_checkpoint(self, epoch, verbose=True, **kwargs):
            if not self.config["single_spec"]:
                # it carries the time of day, which may differ between processes
                self.saved_model_file = from_first(self.saved_model_file)
            file = kwargs.pop("saved_model_file", self.saved_model_file)
            if self.config["local_rank"] == 0:
                write(trainer_state(self, epoch), file)
                if verbose:
                    self.logger.info(trainer.set_color("Saving current", "blue") + f": {file}")
            if not self.config["single_spec"]:  # nobody reads the file before it is there
                dist.barrier()

        return _save_checkpoint

    def save_trees(original):
        def _save_checkpoint(self, epoch):
            state = trainer_state(self, epoch, state_dict=self.temp_best_file, other_parameter=None)
            write(state, self.saved_model_file)

        return _save_checkpoint

    _wrap(trainer.Trainer, "_save_checkpoint", save)
    _wrap(trainer.DecisionTreeTrainer, "_save_checkpoint", save_trees)
    _wrap(trainer.Trainer, "resume_checkpoint", _resume)
    _wrap(trainer.Trainer, "evaluate", _evaluate)


def _resume(original):
    def resume_checkpoint(self, resume_file):
        checkpoint = load_checkpoint(resume_file, map_location=self.device)
        stored, ours = checkpoint["config"]["model"], self.config["model"]
        if stored.lower() != ours.lower():
            self.logger.warning(f"{resume_file} belongs to {stored}, not to {ours}: loading may fail.")
        restore(self.model, checkpoint)
        if checkpoint["config"].get("learner") == self.config["learner"]:
            self.optimizer.load_state_dict(checkpoint["optimizer"])
            for group in self.optimizer.param_groups:  # as this run has them
                group.update(lr=self.learning_rate, weight_decay=self.weight_decay)
        else:
            self.logger.warning(f"The optimiser's state in {resume_file} is another learner's: left out.")
        self.saved_model_file = str(resume_file)
        self.start_epoch = checkpoint["epoch"] + 1
        self.cur_step = checkpoint["cur_step"]
        self.best_valid_score = checkpoint["best_valid_score"]
        self.logger.info(f"Checkpoint loaded. Resume training from epoch {self.start_epoch}")

    return resume_checkpoint


def _evaluate(original):
    def evaluate(self, eval_data, load_best_model=True, model_file=None, show_progress=False):
        if eval_data and load_best_model:
            file = model_file or self.saved_model_file
            restore(self.model, load_checkpoint(file, map_location=self.device))
            self.logger.info(f"Loading model structure and parameters from {file}")
        return original(self, eval_data, load_best_model=False, show_progress=show_progress)

    return evaluate


def pickled_pretraining() -> None:
    """The pretraining trainer has a writer of its own."""
    from recbole.trainer.trainer import PretrainTrainer

    def make(original):
        def save_pretrained_model(self, epoch, saved_model_file):
            write(trainer_state(self, epoch), saved_model_file)
            self.saved_model_file = saved_model_file

        return save_pretrained_model

    _wrap(PretrainTrainer, "save_pretrained_model", make)


def load_data_and_model(model_file, data_path=None) -> tuple:
    """RecBole's function of this name for plain checkpoints; `data_path`: where the data set is now.

    Returns (config, model, dataset, train_data, valid_data, test_data); UserError as in `load_checkpoint`.
    """
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, init_logger, init_seed

    checkpoint = load_checkpoint(model_file)
    moved = {} if data_path is None else {"data_path": str(data_path)}
    config = config_from_plain({**checkpoint["config"], **moved})
    if config["device"].type != "cpu":
        checkpoint = load_checkpoint(model_file, map_location=config["device"])
    init_seed(config["seed"], config["reproducibility"])
    init_logger(config)
    getLogger().info(config)
    dataset = create_dataset(config)
    getLogger().info(dataset)
    loaders = data_preparation(config, dataset)
    init_seed(config["seed"], config["reproducibility"])
    model = get_model(config["model"])(config, loaders[0]._dataset).to(config["device"])
    check_ids(checkpoint, loaders[0]._dataset)
    restore(model, checkpoint)
    return config, model, dataset, *loaders


def load_function() -> None:
    """RecBole's `load_data_and_model` wants a pickled Config; ours replaces it wherever it was imported."""
    _replace(import_module("recbole.quick_start.quick_start").load_data_and_model, load_data_and_model)


def ensure_dir(dir_path) -> None:
    """Make a folder where there is none (RecBole's function of this name)."""
    os.makedirs(dir_path, exist_ok=True)


def folder_race() -> None:
    """RecBole makes ./log and its like if they are absent: a process that comes second at that fails."""
    _replace(import_module("recbole.utils.utils").ensure_dir, ensure_dir)


def _replace(original: Callable, ours: Callable) -> None:
    """Put `ours` wherever a function was imported."""
    for module in list(sys.modules.values()):
        if original is not ours and vars(module).get(original.__name__) is original:
            setattr(module, original.__name__, ours)


def deprecated_grad_scaler() -> None:
    """`torch.cuda.amp` warns at every epoch; `torch.amp` is the same thing."""
    from recbole.trainer import trainer

    if isinstance(trainer.amp, ModuleType) and hasattr(torch.amp, "GradScaler"):
        trainer.amp = SimpleNamespace(
            GradScaler=functools.partial(torch.amp.GradScaler, "cuda"),
            autocast=functools.partial(torch.amp.autocast, "cuda"),
        )


def deprecated_sparse_tensors() -> None:
    """The graph models' `torch.sparse.FloatTensor` works; its new name is RecBole's business."""
    warnings.filterwarnings(
        "ignore", message=r"torch\.sparse\.SparseTensor\(", category=UserWarning, module=r"recbole\."
    )


def misspelt_warning() -> None:
    """Evaluation loaders crash on `logger.warnning` when asked to shuffle; they ignore the wish instead."""
    from recbole.data.dataloader import FullSortEvalDataLoader, NegSampleEvalDataLoader

    def make(original):
        def __init__(self, config, dataset, sampler, shuffle=False):
            if shuffle:
                getLogger().warning(f"{type(self).__name__} can't shuffle")
            original(self, config, dataset, sampler, shuffle=False)

        return __init__

    for owner in (FullSortEvalDataLoader, NegSampleEvalDataLoader):
        _wrap(owner, "__init__", make)


def ngcf_dropout() -> None:
    """NGCF makes its Dropout inside `forward`, always in training mode: scores were random at evaluation."""
    from recbole.model.general_recommender import NGCF

    def make(original):
        def forward(self):
            if self.training:
                return original(self)
            with _swapped(self, "message_dropout", 0.0), _swapped(self, "node_dropout", 0.0):
                return original(self)

        return forward

    _wrap(NGCF, "forward", make)


def scores_on_cpu() -> None:
    """Random, SLIMElastic and ADMMSLIM return CPU scores whatever the device."""
    from recbole.model.general_recommender import ADMMSLIM, Random, SLIMElastic

    def make(original):
        return lambda self, interaction: original(self, interaction).to(self.device)

    for owner in (ADMMSLIM, Random, SLIMElastic):
        _wrap(owner, "predict", make)
        _wrap(owner, "full_sort_predict", make)


def diffusion_predict() -> None:
    """DiffRec and LDiffRec return a square of scores for user-item pairs instead of one score per pair."""
    from recbole.model.general_recommender import DiffRec, LDiffRec

    def make(original):
        def predict(self, interaction):
            item = interaction[self.ITEM_ID]
            return self.full_sort_predict(interaction)[torch.arange(len(item), device=item.device), item]

        return predict

    for owner in (DiffRec, LDiffRec):
        _wrap(owner, "predict", make)


def stale_dataset_cache() -> None:
    """A saved data set was taken for the current one though its folder, split or columns differ."""
    from recbole.data import utils

    missing = [
        "data_path",
        "eval_args",
        "discretization",
        "numerical_features",
        "token_num_threshold",
        "convert_token_to_onehot",
        "encoding",
        "entity_kg_num_interval",
        "relation_kg_num_interval",
        "kg_reverse_r",
    ]
    utils.dataset_arguments = [*utils.dataset_arguments, *(set(missing) - set(utils.dataset_arguments))]
