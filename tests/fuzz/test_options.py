"""Any text and any value for any option of any model: it is configured and trained, or refused."""

import logging
from pathlib import Path

import pytest
import yaml
from hypothesis import strategies as st

from recbole_micro import Config, options, run
from recbole_micro.commands.arguments import config_files, read_arguments
from recbole_micro.commands.train import launch_options
from recbole_micro.options import effects
from recbole_micro.options.config import own_command_line
from recbole_micro.training.experiment import build
from recbole_micro.training.quick_start import check_data
from tests.fuzz.shared import CASES, corpus, fuzz, named_errors
from tests.support import every

# It waits for other processes.
WAITS = {"local_rank", "world_size", "nproc"}
NAMES = sorted(({*options.known_names(), *effects.OLD_NAMES, *effects.INSIDE}) - WAITS)
DATASETS = ("tiny", "tiny", "fixed")
WORDS = (
    *("user_id", "item_id", "rating", "timestamp", "label", "class", "price", "vec", "age", "x", "tiny"),
    *("inter", "item", "user", "kg", "link", "train", "valid", "test", "visual", "textual", "emb"),
    *("RS", "LS", "RO", "TO", "full", "uni5", "pop3", "labeled", "none", "user", "valid_and_test", "last"),
    *("Recall", "NDCG", "AUC", "MAP", "Recall@5", "AUC@5", "uniform", "popularity", "first", "split", "mode"),
    *("[0,inf)", "(3,2]", "[5,inf);[1,2]", "[a,b]", "inf", "nan", "0,1", "1e-3", "1_000", "0x1f", "1:30"),
    *("adam", "sparse_adam", "mask_itemseq", "relu", "tanh", "mean", "sum", "cosine", "bpr", "BPR", "MICRO"),
    *(
        "~",
        "None",
        "null",
        "True",
        "no",
        "{}",
        "[]",
        "''",
        "{a: b",
        "[1, 2",
        "- a",
        "a: b: c",
        "!!python/x y",
    ),
    *("utf-8", "latin-1", "../x", "/dev/null", ".", "\t", " ", ",", "\\", "'", '"', "\x00", "ü", "*", "&a"),
)
word = st.one_of(st.sampled_from(WORDS), st.text(max_size=12))
numbers = st.one_of(
    st.integers(-3, 40),
    st.sampled_from([2**31, 2**63, 10**30, -(2**31), 1e308, 1e-320, float("nan"), float("inf"), 1e30]),
    st.floats(-2, 2),
)
scalar = st.one_of(st.none(), st.booleans(), numbers, word)
value = st.recursive(
    scalar,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(word, inner, max_size=3),
        st.dictionaries(st.sampled_from(WORDS), inner, max_size=2),
    ),
    max_leaves=5,
)


@st.composite
def near(draw, name, model):
    """A value that an option could have, more or less: of its kind, its default, or with one of its keys."""
    option = options.declared(model, "tiny").get(name)
    if option is None:
        return draw(value)
    choices = [st.just(option.default), scalar]
    for kind in option.kinds:
        choices += [st.sampled_from(kind.choices)] if kind.choices else []
        choices += [st.booleans()] if kind.name == "bool" else []
        choices += [numbers] if kind.name in ("int", "float", "number") else []
        choices += [st.lists(scalar, max_size=3)] if kind.name == "list" else []
        choices += [st.dictionaries(word, scalar, max_size=2)] if kind.name == "dict" else []
    if option.keys:
        choices.append(st.fixed_dictionaries({}, optional=dict.fromkeys(option.keys, value)))
    if isinstance(option.default, dict):
        choices.append(st.fixed_dictionaries({}, optional=dict.fromkeys(option.default, value)))
    return draw(st.one_of(choices))


@st.composite
def cases(draw, steps=("config",) * 5 + ("data",) * 3 + ("train",) * 2):
    """What somebody may give: how far it goes, a model, a data set, and options in one of three forms."""
    model = draw(
        st.one_of(st.sampled_from(sorted(set(options.model_names()))), st.sampled_from(("MICRO", "BPR")))
    )
    own = sorted(set(options.declared(model, "tiny")) - WAITS)
    given = {}
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.one_of(st.sampled_from(own), st.sampled_from(NAMES)))
        given[name] = draw(st.one_of(near(name, model), near(name, model), value))
    form = draw(st.sampled_from(("words", "yaml", "dictionary")))
    if form == "words":
        said = [f"--{name}={draw(word) if draw(st.booleans()) else flow(given[name])}" for name in given]
        given = draw(
            st.one_of(
                st.just(said), st.just(said), st.lists(st.one_of(st.sampled_from(said), word), max_size=4)
            )
        )
    elif form == "yaml":
        given = draw(st.one_of(st.just(written(given)), st.text(max_size=60)))
    return {
        "model": model,
        "dataset": draw(st.sampled_from(DATASETS)),
        form: given,
        "steps": draw(st.sampled_from(steps)),
    }


def flow(content):
    return yaml.safe_dump(content, default_flow_style=True, width=10**6).strip().removesuffix("...").strip()


def written(given):
    return yaml.safe_dump(given, allow_unicode=True)


@pytest.fixture(autouse=True)
def silence():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def prepared(folder):
    """Write the data sets; a function that takes a case as far as it goes."""
    every.write_every(folder, "tiny")
    every.write_every(folder, "fixed", parts=True)
    rest = every.SMALL | {"data_path": str(folder)}

    def check(case):
        with named_errors():
            start(case, rest)

    return check


def start(case, rest):
    model, dataset, files = case["model"], case["dataset"], []
    words = {}
    if "words" in case:
        words = read_arguments([f"--model={model}", f"--dataset={dataset}", *case["words"]])
        files = config_files(words.pop("config_files", ""))
        launch_options(files, words)
    elif "yaml" in case:
        Path("given.yaml").write_text(case["yaml"], encoding="utf-8", errors="replace")
        files = ["given.yaml"]
        launch_options(files, {})
    files = ["rest.yaml", *files]
    enough = every.needed(model) if dataset == "tiny" else {}
    Path("rest.yaml").write_text(written(rest | enough), encoding="utf-8")
    given = case.get("dictionary")
    with own_command_line(words):
        if case["steps"] == "train":
            run(model, dataset, files, given, saved=False)
        else:
            config = Config(model, dataset, files, given)
            if case["steps"] == "data":
                check_data(config)
                build(config, trainer=False)


@pytest.mark.parametrize("count", CASES)
def test_options(tmp_path, count):
    few = cases(steps=("config", "config", "data"))
    fuzz(prepared(tmp_path), few if count <= 200 else cases(), count, corpus("options"))
