"""Exports: scores, lists, neighbours and reasons are the model's; formats; the folder; the command."""

import json
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from recbole_micro import cli, load
from recbole_micro.errors import UserError
from recbole_micro.inference.explain import Explainer
from recbole_micro.inference.export import formats, onnx_scorer
from recbole_micro.inference.export.folder import export, plane
from recbole_micro.inference.export.vectors import score_vectors
from recbole_micro.inference.recommend import recommend, scores_of
from recbole_micro.inference.similar import nearest_items, spaces
from recbole_micro_server.model import ExportedModel
from tests.support.exports import TITLES, train, write_data
from tests.support.processes import ROOT, run_python
from tests.support.tiny import write_tiny

DOTS = ("MICRO", "FREEDOM", "VBPR", "DAMRS", "BPR", "LightGCN")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def checkpoints(data):
    options = {"FREEDOM": {"n_item_layers": 2}}  # neighbours of neighbours
    return {model: train(data, model, **options.get(model, {})) for model in (*DOTS, "NeuMF", "ContentKNN")}


@pytest.fixture(scope="module")
def folders(checkpoints, data):
    names = tuple(formats.FORMATS)
    return {model: export(checkpoints[model], data / "out" / model, names) for model in DOTS}


@pytest.mark.parametrize("model", DOTS)
def test_the_folder_has_the_models_scores_and_lists(model, checkpoints, folders):
    source, served = load(checkpoints[model]), ExportedModel(folders[model])
    dataset = source.dataset
    users = dataset.token2id("user_id", np.array(served.users))
    items = dataset.token2id("item_id", np.array(served.items))
    expected = scores_of(source.model, dataset, users, None).numpy()[:, items]
    found = np.stack([served.scores(row) for row in range(len(served.users))])
    assert np.allclose(found, expected, atol=1e-6)
    dots = np.allclose(served.user_vectors @ served.item_vectors.T, expected, atol=1e-3)
    assert dots == (model != "MICRO")  # whose own items and their neighbours are beside the vectors
    lists = recommend(source, k=5)
    for user, rows in lists.groupby("user_id"):
        found = served.recommend(user, 5)
        assert [one["id"] for one in found] == rows["item_id"].tolist()
        assert [one["rank"] for one in found] == rows["rank"].tolist()
        assert np.allclose([one["score"] for one in found], rows["score"], atol=1e-6)
    everything = served.recommend("u3", 1000, keep_seen=True)
    assert len(everything) == 16 and len(served.recommend("u3", 1000)) == 16 - 10
    assert {one["id"] for one in served.history("u3")} == {one["id"] for one in everything} - {
        one["id"] for one in served.recommend("u3", 1000)
    }


@pytest.mark.parametrize("model", DOTS)
def test_the_neighbours_are_those_of_similar(model, checkpoints, folders):
    source, served = load(checkpoints[model]), ExportedModel(folders[model])
    known = spaces(source.model, source.dataset)
    assert sorted(served.kinds) == sorted(known)
    assert served.kinds[0] == ("trained" if "trained" in known else "collaborative")
    ids = source.dataset.token2id("item_id", np.array(served.items))
    for by, space in known.items():
        for row, item in enumerate(served.items):
            (near,) = nearest_items(space, torch.tensor(ids[[row]]), 4)
            expected = source.dataset.id2token("item_id", near.other.numpy()).tolist()
            found = served.similar(item, 4, by)
            assert [one["id"] for one in found] == list(expected)
            assert np.allclose([one["cosine"] for one in found], near.cosine, atol=1e-6)


@pytest.mark.parametrize("model", ["MICRO", "FREEDOM", "VBPR", "DAMRS"])
def test_the_reasons_are_those_of_explain(model, checkpoints, folders):
    source, served = load(checkpoints[model]), ExportedModel(folders[model])
    explainer = Explainer(source.model, source.dataset)
    for user, item in (("u0", "i1"), ("u5", "i7"), ("u9", "i15")):
        ours, theirs = served.explain(user, item), explainer.explain(user, item)
        shares = {(one["modality"], one["item"]): one["share"] for one in ours["neighbours"]}
        hops = {(one["modality"], one["item"]): one["hops"] for one in ours["neighbours"]}
        assert {(one.modality, one.item): one.hops for one in theirs.neighbours} == hops
        for one in theirs.neighbours:
            assert shares[one.modality, one.item] == pytest.approx(one.share, abs=1e-6)
        assert ours["modalities"] == pytest.approx(theirs.modalities, abs=1e-6)
        total = ours["collaborative"] + sum(shares.values())
        assert ours["rest"] == 0 and ours["score"] == pytest.approx(total, abs=1e-5)
        assert ours["score"] == pytest.approx(theirs.score, abs=1e-5)
        had = {one["id"] for one in served.history(user)}
        assert all(one["chosen"] == (one["item"] in had) for one in ours["neighbours"])
        few = served.explain(user, item, 2)
        assert few["neighbours"] == ours["neighbours"][:2]
        assert few["through"] == ours["through"] == pytest.approx(theirs.through(), abs=1e-5)
        assert few["rest"] == pytest.approx(total - ours["collaborative"] - sum(list(shares.values())[:2]))


def test_models_without_reasons_say_so(folders):
    served = ExportedModel(folders["BPR"])
    with pytest.raises(LookupError, match="BPR was exported without"):
        served.explain("u0", "i1")
    assert served.manifest["modalities"] == [] and served.manifest["why"]


@pytest.mark.parametrize("model", ["NeuMF", "ContentKNN"])
def test_models_whose_scores_are_no_dot_products_are_refused(model, checkpoints, tmp_path):
    with pytest.raises(UserError, match=f"The scores of {model} are not dot products"):
        export(checkpoints[model], tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_vectors_that_only_look_right_are_refused(checkpoints):
    source = load(checkpoints["BPR"])
    score = source.model.full_sort_predict
    source.model.full_sort_predict = lambda interaction: score(interaction) + 0.01
    with pytest.raises(UserError, match="are not dot products"):
        score_vectors(source.model, source.dataset)


def test_formats_hold_the_same_vectors_and_ids(folders):
    safetensors = pytest.importorskip("safetensors")
    folder = folders["MICRO"]
    served = ExportedModel(folder)
    npz = np.load(folder / "vectors.npz")
    with safetensors.safe_open(folder / "vectors.safetensors", "numpy") as file:
        tensors, ids = {name: file.get_tensor(name) for name in ("users", "items")}, file.metadata()
    for name, one, tokens, vectors in (
        ("users", "user", served.users, served.user_vectors),
        ("items", "item", served.items, served.item_vectors),
    ):
        table = pq.read_table(folder / f"{name}.parquet")
        assert (
            table["id"].to_pylist() == tokens == npz[f"{one}_ids"].tolist() == json.loads(ids[f"{one}_ids"])
        )
        stored = np.array(table["vector"].to_pylist(), np.float32)
        for values in (stored, npz[name], tensors[name]):
            assert values.dtype == np.float32 and np.array_equal(values, vectors)
    modes = {path.name: path.stat().st_mode for path in folder.iterdir() if path.is_file()}
    assert len(set(modes.values())) == 1, modes


def test_faiss_and_onnx_give_the_same_best_items(checkpoints, tmp_path):
    faiss = pytest.importorskip("faiss")
    onnxruntime = pytest.importorskip("onnxruntime")
    folder = export(checkpoints["MICRO"], tmp_path / "out", faiss=True, onnx=True)
    served = ExportedModel(folder)
    dots = served.user_vectors @ served.item_vectors.T
    expected = np.argsort(-dots, axis=1)[:, :10]
    found, rows = faiss.read_index(str(folder / "items.faiss")).search(np.array(served.user_vectors), 10)
    assert np.allclose(found, np.take_along_axis(dots, expected, 1), atol=1e-5)
    assert np.array_equal(rows, expected)
    session = onnxruntime.InferenceSession(str(folder / "scorer.onnx"))
    users = np.array([3, 0, 23], dtype=np.int64)
    (given,) = session.run(["scores"], {"user": users})
    whole = np.stack([served.scores(row) for row in users])
    assert np.allclose(given, whole, atol=1e-6) and not np.allclose(given, dots[users], atol=1e-3)


def test_a_scorer_that_ranks_otherwise_is_refused(tmp_path):
    pytest.importorskip("onnxruntime")
    generator = np.random.default_rng(0)
    user, item = (generator.standard_normal((n, 4), dtype=np.float32) for n in (6, 40))
    onnx_scorer.write_onnx(formats.Vectors([], [], user, item), tmp_path)
    with pytest.raises(UserError, match="ranks other items first"):
        onnx_scorer.check(formats.Vectors([], [], user, item[::-1].copy()), tmp_path / "scorer.onnx")


def test_large_vectors_lie_beside_the_graph(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(onnx_scorer, "EXTERNAL", 100)
    generator = np.random.default_rng(0)
    user, item = (generator.standard_normal((n, 64), dtype=np.float32) for n in (60, 40))
    onnx_scorer.write_onnx(formats.Vectors([], [], user, item), tmp_path)
    assert (tmp_path / "scorer.onnx.data").stat().st_size >= user.nbytes + item.nbytes
    assert (tmp_path / "scorer.onnx").stat().st_size < 2000


def test_titles_categories_and_the_manifest(folders, checkpoints):
    served = ExportedModel(folders["MICRO"])
    first = served.item_details("i0")
    assert first["title"] == TITLES[0] and first["category"] == "Drama"
    assert set(first["attention"]) == {"textual", "visual"}
    assert sum(first["attention"].values()) == pytest.approx(1)
    long = served.item_details("i3")["title"]
    assert len(long) == 300 and long.endswith("…")
    assert served.item_details("i2")["category"] == "Film"  # the first of several
    assert "title" not in served.item_details("i15")
    source, manifest = load(checkpoints["MICRO"]), served.manifest
    assert manifest["model"] == "MICRO" and manifest["dataset"] == "tiny" and manifest["epoch"] == 1
    assert (manifest["users"], manifest["items"], manifest["interactions"]) == (24, 16, 240)
    assert manifest["settings"]["knn_k"] == source.config["knn_k"] and "device" not in manifest["settings"]
    assert set(manifest["versions"]) == {"recbole_micro", "recbole", "torch", "numpy", "python"}
    assert manifest["largest_difference"] < 1e-5 and "valid Recall@5" in manifest["metrics"]


def test_what_a_user_had_comes_newest_first(tmp_path):
    home = write_tiny(tmp_path, features=False) / "tiny"
    rows = (home / "tiny.inter").read_text().splitlines()[1:]
    times = {row: 900_000_000 + (n * 7919) % 1000 for n, row in enumerate(rows)}
    again = [f"{rows[0]}\t1"]  # an older visit to the same item changes nothing
    lines = [f"{row}\t{time}" for row, time in times.items()] + again
    (home / "tiny.inter").write_text(
        "user_id:token\titem_id:token\ttimestamp:float\n" + "\n".join(lines) + "\n"
    )
    columns = {"inter": ["user_id", "item_id", "timestamp"]}
    served = ExportedModel(export(train(tmp_path, "BPR", load_col=columns), tmp_path / "out"))
    for user in ("u0", "u7"):
        had = sorted((row for row in rows if row.startswith(f"{user}\t")), key=lambda row: -times[row])
        assert [one["id"] for one in served.history(user)] == [row.split("\t")[1] for row in had]


def test_the_map_is_the_plane_of_the_principal_components():
    generator = np.random.default_rng(1)
    vectors = generator.standard_normal((50, 5)) * [5, 1, 3, 0.1, 0.1] + 7
    points = plane(vectors.astype(np.float32))
    assert points.shape == (50, 2) and np.abs(points).max() == 1
    left, values, _ = np.linalg.svd(vectors - vectors.mean(0), full_matrices=False)
    expected = left[:, :2] * values[:2]
    expected /= np.abs(expected).max()
    assert np.allclose(np.abs(points), np.abs(expected), atol=1e-4)
    assert np.array_equal(plane(np.ones((3, 1), np.float32)), np.zeros((3, 2)))


def test_pictures_are_copied_by_name(checkpoints, tmp_path):
    images = tmp_path / "images" / "deep"
    images.mkdir(parents=True)
    for name in ("i0.jpg", "i4.PNG", "other.txt"):
        (images / name).write_bytes(name.encode())
    folder = export(checkpoints["BPR"], tmp_path / "out", images=tmp_path / "images")
    served = ExportedModel(folder)
    picture = served.item_details("i0")["picture"]
    assert (folder / "images" / picture).read_bytes() == b"i0.jpg"
    assert "picture" not in served.item_details("i1")
    with pytest.raises(UserError, match="no picture of any item"):
        export(checkpoints["BPR"], tmp_path / "none", images=tmp_path / "out")
    assert not (tmp_path / "none").exists()


def test_a_folder_appears_whole_or_not_at_all(checkpoints, tmp_path, monkeypatch):
    to = tmp_path / "out"
    export(checkpoints["BPR"], to)
    before = (to / "manifest.json").read_text()
    with pytest.raises(UserError, match="is there already"):
        export(checkpoints["LightGCN"], to)
    with monkeypatch.context() as patch:

        def fail(*_):
            raise OSError(28, "No space left on device")

        patch.setattr("recbole_micro.inference.export.folder.write_neighbours", fail)
        with pytest.raises(OSError, match="No space"):
            export(checkpoints["LightGCN"], to, overwrite=True)
        assert (to / "manifest.json").read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    export(checkpoints["LightGCN"], to, overwrite=True)
    assert json.loads((to / "manifest.json").read_text())["model"] == "LightGCN"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    foreign = tmp_path / "home"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("much work")
    with pytest.raises(UserError, match="none of what --overwrite replaces"):
        export(checkpoints["BPR"], foreign, overwrite=True)
    assert (foreign / "thesis.tex").read_text() == "much work"


def test_the_command(checkpoints, tmp_path, capsys):
    words = ["export", f"--checkpoint={checkpoints['MICRO']}", "--to", str(tmp_path / "x"), "--format=npz"]
    assert cli.main([*words, "--neighbours=3", "--category=title"]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1 and "recbole-micro serve" in out and "INFO" not in err
    assert err.count("The scores have a part beside the products of these vectors (walk_weight)") == 1
    served = ExportedModel(tmp_path / "x")
    assert len(served.similar("i4", 10)) == 3 and served.item_details("i4")["category"] == "Title"
    for more, sentence in (
        (["--to", "y", "--format=csv"], "no format 'csv'"),
        (["--to", "y", "--category=colour"], "no column 'colour' (they have title, genre)"),
        (["--to", "y", "--images=nowhere"], "no folder nowhere"),
        (["--to", "y", "--faist"], "'--faist' is unknown"),
        ([], "write --to=DIR"),
    ):
        assert cli.main([*words[:2], *more]) == 2
        assert sentence in capsys.readouterr().err
        assert not Path("y").exists()


def test_the_example_needs_numpy_alone(folders, tmp_path):
    """In an interpreter whose only package is NumPy it prints the lists of the model."""
    site = tmp_path / "site"
    site.mkdir()
    numpy_home = Path(np.__file__).parents[1]
    for name in ("numpy", "numpy.libs"):
        if (numpy_home / name).exists():
            os.symlink(numpy_home / name, site / name)
    alone = {"PYTHONPATH": str(site)}
    for module in ("torch", "recbole", "recbole_micro"):
        done = run_python("-S", "-c", f"import {module}", cwd=tmp_path, **alone)
        assert "ModuleNotFoundError" in done.stderr
    script = ROOT / "docs" / "examples" / "serve_numpy.py"
    for model in ("MICRO", "LightGCN"):  # with a walk and without
        done = run_python("-S", script, folders[model], "u3", "4", cwd=tmp_path, **alone)
        assert done.returncode == 0, done.stderr
        best = ExportedModel(folders[model]).recommend("u3", 4)
        expected = [[one["id"], f"{one['score']:.6f}", one.get("title", "")] for one in best]
        assert [line.split("\t") for line in done.stdout.splitlines()] == expected
    code = script.read_text(encoding="utf-8")
    assert len([line for line in code.splitlines()[1:] if line]) <= 20  # without its first line, a docstring
    assert f"```python\n{code}```" in (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
