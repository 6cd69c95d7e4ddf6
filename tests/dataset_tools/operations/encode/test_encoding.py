"""Texts and images to features; models with weights are built small by the test where they can be."""

import builtins
import json

import numpy as np
import pytest

from dataset_tools.__main__ import main
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from dataset_tools.features import shards
from dataset_tools.features.encoders import registry
from dataset_tools.operations.encode import encoding, media_files

TEXTS = {
    "a": "red cotton shirt",
    "b": "blue cotton shirt",
    "c": "steel frying pan",
    "d": "iron frying pan",
    "e": "",
}


@pytest.fixture
def dataset(tmp_path):
    with DatasetFolder(tmp_path / "data", "toy") as folder:
        (folder.path / "toy.inter").write_text("user_id:token\titem_id:token\nu\ta\n")
        titles = [text[:3] for text in TEXTS.values()]
        folder.write_items(list(TEXTS), {"title:token_seq": titles, "text:token_seq": list(TEXTS.values())})
    return Dataset("toy", tmp_path / "data")


def check_texts(dataset, spec):
    assert encoding.encode_texts(dataset, spec) == ["e"]
    values, mask = dataset.matrix("textual")
    assert mask.tolist() == [True] * 4 + [False]
    unit = values[:4] / np.linalg.norm(values[:4], axis=1, keepdims=True)
    cosine = unit @ unit.T - 2 * np.eye(4)
    assert cosine.argmax(axis=1).tolist() == [1, 0, 3, 2]


def test_tfidf_joins_texts_that_share_words(dataset):
    check_texts(dataset, "tfidf")


def test_wordllama_joins_texts_that_share_meaning(dataset):
    pytest.importorskip("wordllama")
    check_texts(dataset, "wordllama")
    assert dataset.features("textual").width == 256


def test_sentence_transformers_model_from_a_folder(dataset, tmp_path):
    package = pytest.importorskip("sentence_transformers")
    transformers = pytest.importorskip("transformers")
    words = sorted({word for text in TEXTS.values() for word in text.split()})
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]))
    config = transformers.BertConfig(
        vocab_size=5 + len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    transformers.BertModel(config).save_pretrained(tmp_path / "bert")
    transformers.BertTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path / "bert")
    modules = getattr(package.sentence_transformer, "modules", None) or package.models
    layers = [modules.Transformer(str(tmp_path / "bert")), modules.Pooling(16)]
    package.SentenceTransformer(modules=layers, device="cpu").save(str(tmp_path / "model"))
    assert encoding.encode_texts(dataset, f"sentence-transformers/{tmp_path / 'model'}") == ["e"]
    expected = package.SentenceTransformer(str(tmp_path / "model"), device="cpu").encode(
        list(TEXTS.values())[:4]
    )
    np.testing.assert_allclose(dataset.matrix("textual")[0][:4], expected, rtol=1e-4, atol=1e-6)


def test_clip_model_from_a_folder_leaves_corrupt_images_out(dataset, tmp_path):
    transformers = pytest.importorskip("transformers")
    image_module = pytest.importorskip("PIL.Image")
    config = transformers.CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=32,
        patch_size=16, projection_dim=8,
    )  # fmt: skip
    transformers.CLIPVisionModelWithProjection(config).save_pretrained(tmp_path / "clip")
    transformers.CLIPImageProcessor(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    ).save_pretrained(tmp_path / "clip")
    folder = tmp_path / "images"
    folder.mkdir()
    for number, item in enumerate("abc"):
        pixels = np.random.default_rng(number).integers(0, 255, (40, 50, 3), dtype=np.uint8)
        image_module.fromarray(pixels).save(folder / f"{item}.png")
    (folder / "c.png").write_bytes((folder / "c.png").read_bytes()[:200])
    (folder / "d.jpg").write_bytes(b"no image")
    assert encoding.encode_media(dataset, "image", f"clip/{tmp_path / 'clip'}", folder) == ["c", "d", "e"]
    values, mask = dataset.matrix("visual")
    assert mask.tolist() == [True, True, False, False, False] and values.shape == (5, 8)
    assert not np.allclose(values[0], values[1])


def test_a_mistake_leaves_nothing_to_go_on_with(dataset):
    before = sorted(dataset.folder.iterdir())
    with pytest.raises(DataError):
        encoding.encode_texts(dataset, "word2vec")
    assert sorted(dataset.folder.iterdir()) == before


def test_images_are_found_by_the_column_image_or_by_id(tmp_path):
    with DatasetFolder(tmp_path / "data", "toy") as folder:
        (folder.path / "toy.inter").write_text("user_id:token\titem_id:token\nu\ta\n")
        names = ["sub/x.jpg", "https://host/I/y.png?w=1", "", "../secret.jpg", "gone.jpg"]
        folder.write_items(list("abcde"), {"image:token": names})
    images = tmp_path / "images"
    (images / "sub").mkdir(parents=True)
    for name in ("sub/x.jpg", "y.png", "c.jpg", "e.jpg", "../secret.jpg"):
        (images / name).touch()
    found = media_files.media_paths(Dataset("toy", tmp_path / "data"), images, "image")
    assert found == [
        str(images / name) if name else "" for name in ("sub/x.jpg", "y.png", "c.jpg", "", "e.jpg")
    ]


def test_images_are_found_by_stem_in_nested_folders(tmp_path):
    with DatasetFolder(tmp_path / "data", "toy") as folder:
        folder.write_items(["0108775015", "0200000001", "0300000001"])
    images = tmp_path / "images"
    for name in ("010/0108775015.jpg", "020/0200000001.PNG", "010/readme.txt"):
        (images / name).parent.mkdir(parents=True, exist_ok=True)
        (images / name).touch()
    dataset = Dataset("toy", tmp_path / "data")
    (dataset.folder / "toy.inter").write_text("user_id:token\titem_id:token\nu\t0108775015\n")
    found = media_files.media_paths(dataset, images, "image")
    assert found == [str(images / "010/0108775015.jpg"), str(images / "020/0200000001.PNG"), ""]
    (images / "020" / "0108775015.jpg").touch()
    with pytest.raises(DataError, match="are both called like the item '0108775015'; leave one"):
        media_files.media_paths(dataset, images, "image")


def test_tfidf_of_a_single_word_is_a_column(tmp_path):
    values, ok = registry.text_encoder("tfidf", ["ok", "ok", ""])(["ok", "ok", ""])
    assert values.shape == (3, 1) and ok.tolist() == [True, True, False]


def test_a_stopped_run_goes_on_and_other_inputs_start_anew(dataset, monkeypatch):
    monkeypatch.setattr(shards, "SHARD", 2)
    seen = []

    def encoder(stop_at):
        def encode(texts):
            if len(seen) == stop_at:
                raise KeyboardInterrupt
            seen.append(list(texts))
            return np.array([[len(t), 1.0] for t in texts], dtype=np.float32), np.array(
                [bool(t) for t in texts]
            )

        return lambda spec, corpus: encode

    monkeypatch.setattr(encoding, "text_encoder", encoder(2))
    with pytest.raises(KeyboardInterrupt):
        encoding.encode_texts(dataset, "x")
    assert dataset.modalities == []
    monkeypatch.setattr(encoding, "text_encoder", encoder(99))
    encoding.encode_texts(dataset, "x")
    texts = list(TEXTS.values())
    assert seen == [texts[:2], texts[2:4], texts[4:]]
    np.testing.assert_array_equal(dataset.matrix("textual")[0][:4, 0], [len(t) for t in texts[:4]])
    assert [path.name for path in dataset.folder.iterdir() if path.name.startswith(".")] == []
    encoding.encode_texts(dataset, "x", columns=["title"], force=True)
    assert seen[3] == ["red", "blu"]


def test_provenance_names_encoder_and_columns(dataset):
    encoding.encode_texts(dataset, "tfidf", columns=["title", "text"], modality="words")
    (step,) = json.loads((dataset.folder / "toy.source.json").read_text())["steps"]
    assert step["options"] == {
        "text": "tfidf",
        "columns": ["title", "text"],
        "modality": "words",
        "half": False,
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--text", "word2vec"], "There is no text encoder 'word2vec'; choose tfidf, wordllama, sentence-tr"),
        (["--image", "vgg", "--images", "."], "no image of an item of toy; name the files <item id>.jpg"),
        (["--image", "vgg", "--images", "nowhere"], "There is no folder nowhere; --images names"),
        (["--image", "clip/x"], "--image needs --images, the folder of the image files"),
        (["--text", "tfidf", "--columns", "nothing"], "toy.item has no column 'nothing'; its columns are"),
    ],
)
def test_mistakes_are_one_sentence(dataset, capsys, arguments, message):
    assert main(["encode", "--name", "toy", "--data-path", str(dataset.folder.parent), *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("build", "package", "command"),
    [
        (lambda: registry.text_encoder("wordllama", []), "wordllama", "pip install wordllama"),
        (
            lambda: registry.text_encoder("sentence-transformers/x", []),
            "sentence_transformers",
            r"pip install 'recbole_micro\[encoders\]'",
        ),
        (
            lambda: registry.image_encoder("clip/x"),
            "transformers",
            r"pip install 'recbole_micro\[encoders\]'",
        ),
    ],
)
def test_an_absent_package_gives_the_command_that_installs_it(monkeypatch, build, package, command):
    real = builtins.__import__

    def absent(name, *args, **kwargs):
        if name.split(".")[0] == package:
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(DataError, match=command):
        build()
