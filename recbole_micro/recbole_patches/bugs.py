"""RecBole's own faults: single lines that are wrong, or that pandas 3 reads in another way."""

import os
from collections.abc import Callable

import torch

from recbole_micro.logs import curves_that_may_fail
from recbole_micro.recbole_patches.mechanism import Patch

DATASET = "recbole.data.dataset.dataset:Dataset"
KG_DATASET = "recbole.data.dataset.kg_dataset:KnowledgeBasedDataset"
SEQUENTIAL_DATASET = "recbole.data.dataset.sequential_dataset:SequentialDataset"
LOADERS = "recbole.data.dataloader.general_dataloader"
GENERAL = "recbole.model.general_recommender"
TUNING = "recbole.trainer.hyper_tuning"


def ensure_dir(dir_path: str | os.PathLike[str]) -> None:
    """Make a folder where there is none (RecBole's function of this name)."""
    os.makedirs(dir_path, exist_ok=True)


def built_by_exact_time(original: Callable) -> Callable:
    """RecBole's `build`; the times by which it orders become float32, as elsewhere in RecBole, after it."""

    def build(self):
        parts = original(self)
        for dataset in (self, *parts):
            columns = dataset.inter_feat.interaction
            for name, values in columns.items():
                if values.dtype == torch.float64:
                    columns[name] = values.float()
        return parts

    return build


def scores_on_device(original: Callable) -> Callable:
    """RecBole's `predict` or `full_sort_predict` with its scores on the model's device."""
    return lambda self, interaction: original(self, interaction).to(self.device)


FILL = (
    "pandas 2 warns of fillna(inplace=True) on a column, and pandas 3 changes nothing: missing values stayed."
)
LENGTHS = (
    "pandas 2 warns of column.agg(len), and pandas 3 hands it the whole column; each row's length is meant."
)
LOCALE = "Files were read and written in the locale's encoding: elsewhere than in UTF-8 names broke."
READER = "The plugin's data sets read plain files by pandas' faster engine."
AGG, LEN = ".agg(len)", ".map(len)"
SHUFFLE = "Evaluation loaders crash on the name `warnning` where they are asked to shuffle."
SPELLING = (("logger.warnning", "logger.warning"),)
ON_CPU = "The scores are on the CPU whatever the device."
SQUARE = "A square of scores came back for user-item pairs instead of one score a pair."
SQUARE_EDIT = (("x_t[:, item]", "x_t[torch.arange(len(item), device=item.device), item]"),)
COLLECTED = "for key in [k for k, v in self.data_struct._data_dict.items() if isinstance(v, torch.Tensor)]:"

BUGS = (
    Patch(
        DATASET, "_fill_nan", "edit",
        (
            ("feat[field].fillna(value=0, inplace=True)", "feat[field] = feat[field].fillna(value=0)"),
            (
                "feat[field].fillna(value=feat[field].mean(), inplace=True)",
                "feat[field] = feat[field].fillna(value=feat[field].mean())",
            ),
        ),
        FILL, "133148ef81f3 95b399bcf445",
    ),
    Patch(
        DATASET, "_load_feat", "edit",
        (
            ('df[field].fillna(value="", inplace=True)', 'df[field] = df[field].fillna(value="")'),
            ('self.config["encoding"]', 'self.config["encoding"] or "utf-8"'),
            ("pd.read_csv(", 'getattr(self, "read_table", pd.read_csv)('),
        ),
        f"{FILL}  {LOCALE}  {READER}", "3310b9ac08cc",
    ),
    Patch(DATASET, "_remap", "edit", ((AGG, LEN),), LENGTHS, "86ef7c596225"),
    Patch(DATASET, "_normalize", "edit", ((AGG, LEN),), LENGTHS, "48d74dc201de"),
    Patch(DATASET, "_discretization", "edit", ((AGG, LEN),), LENGTHS, "2d5c610456d5"),
    Patch(KG_DATASET, "_reset_ent_remapID", "edit", ((AGG, LEN),), LENGTHS, "71b33e6f9a5e"),
    Patch(SEQUENTIAL_DATASET, "_benchmark_presets", "edit", ((AGG, LEN),), LENGTHS, "62c79d201e3a"),
    Patch(
        DATASET, "_dataframe_to_interaction", "edit",
        (
            ("data[k].values", "data[k].to_numpy(copy=True)"),
            (
                "torch.FloatTensor(value)",
                "(torch.DoubleTensor if k == self.time_field else torch.FloatTensor)(value)",
            ),
        ),
        "Times became float32, in steps of 128 s: the last item was another one for a third of "
        "the users.  And pandas 3 hands out read-only arrays, at which PyTorch warns.", "2177275d1dee",
    ),
    Patch(
        DATASET, "build", "wrap", built_by_exact_time,
        "The exact times serve the order alone; then they are float32 as all numbers of RecBole's.",
        "cc164dcc2a70 772e9ed3e3c6",
    ),
    Patch(
        LOADERS + ":FullSortEvalDataLoader", "__init__", "edit", SPELLING, SHUFFLE, "d918b4e43f55",
        release="1.2.0",
    ),
    Patch(
        LOADERS + ":NegSampleEvalDataLoader", "__init__", "edit", SPELLING, SHUFFLE, "6bb7e2d1f533",
        release="1.2.0",
    ),
    Patch(
        "recbole.data.dataloader.abstract_dataloader:NegSampleDataLoader", "_neg_sampling", "edit",
        (("torch.max(scores, dim=0)[1].detach()", "torch.max(scores, dim=0)[1].detach().cpu()"),),
        "Dynamic sampling indexes candidates on the CPU by what is on the model's device.", "1895cb37c649",
    ),
    Patch(
        "recbole.utils.utils", "ensure_dir", "replace", ensure_dir,
        "RecBole makes a folder if it is absent: a process that comes second at that fails.", "06df9096141e",
    ),
    Patch(
        GENERAL + ".ngcf:NGCF", "forward", "edit",
        (
            ("if self.node_dropout != 0", "if self.node_dropout != 0 and self.training"),
            ("nn.Dropout(self.message_dropout)(all_embeddings)",
             "F.dropout(all_embeddings, self.message_dropout, self.training)"),
        ),
        "NGCF drops edges and messages at evaluation as well: its scores were random.", "9465e87d6d09",
        release="1.2.0",
    ),
    Patch(
        GENERAL + ".admmslim:ADMMSLIM", "predict", "wrap", scores_on_device, ON_CPU, "4409c64dd62d",
        release="1.2.0",
    ),
    Patch(
        GENERAL + ".admmslim:ADMMSLIM", "full_sort_predict", "wrap", scores_on_device, ON_CPU, "c6066bd67e18",
    ),
    Patch(
        GENERAL + ".random:Random", "predict", "wrap", scores_on_device, ON_CPU, "661977a24ce6",
        release="1.2.0",
    ),
    Patch(GENERAL + ".random:Random", "full_sort_predict", "wrap", scores_on_device, ON_CPU, "3b18baac6fe1"),
    Patch(
        GENERAL + ".slimelastic:SLIMElastic", "predict", "wrap", scores_on_device, ON_CPU, "dec87fc89b7d",
        release="1.2.0",
    ),
    Patch(
        GENERAL + ".slimelastic:SLIMElastic", "full_sort_predict", "wrap", scores_on_device, ON_CPU,
        "174830874370",
    ),
    Patch(
        GENERAL + ".diffrec:DiffRec", "predict", "edit", SQUARE_EDIT, SQUARE, "09ea99ae7314", release="1.2.0",
    ),
    Patch(
        GENERAL + ".ldiffrec:LDiffRec", "predict", "edit", SQUARE_EDIT, SQUARE, "09ea99ae7314",
        release="1.2.0",
    ),
    Patch(
        "recbole.evaluator.collector:Collector", "get_data_struct", "edit",
        (("for key in self.data_struct._data_dict:", COLLECTED),),
        "Coverage, popularity, Gini and tail metrics crash: counts have no `cpu`.", "0d5915a7f504",
        release="1.2.1",
    ),
    Patch(
        TUNING, "exhaustive_search", "edit",
        (("np.random.RandomState(seed)", "np.random.default_rng(seed)"),),
        "hyperopt draws from NumPy's newer generator, which has other methods.", "d3b704057d16",
        versions="hyperopt >= 0.2.7",
    ),
    Patch(
        TUNING + ":HyperTuning", "trial", "edit",
        (("if not self.best_score:", "if self.best_score is None:"),),
        "A best score of 0.0 counted as none, so that any later trial replaced it.", "b9ed02966d44",
    ),
    Patch(
        TUNING + ":HyperTuning", "export_result", "edit",
        (('open(output_file, "w")', 'open(output_file, "w", encoding="utf-8")'),), LOCALE, "b67e3f762926",
    ),
    Patch(
        "recbole.utils.logger", "init_logger", "edit",
        (
            ("    fh = logging.FileHandler(logfilepath)",
             "    from recbole_micro.logs import LogFile; fh = LogFile(logfilepath)"),
            ("    init(autoreset=True)", "    from recbole_micro.logs import wrap_screen; wrap_screen()"),
        ),
        f"{LOCALE}  Runs of the same second shared a log; a full disk printed a traceback a line; and every "
        "run wrapped the screen once more, until the 250th of a process ended in a recursion error.",
        "548f4cebce48",
    ),
    Patch(
        "recbole.utils.utils", "get_tensorboard", "wrap", curves_that_may_fail,
        "A full disk ended the training from within TensorBoard.", "2d129a593b53",
    ),
)  # fmt: skip
