"""Encoders of images, texts, videos and sounds, each with a tiny model that the test makes."""

import numpy as np
import pytest

from dataset_tools.__main__ import main
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from dataset_tools.features.encoders import hub, media, registry

WORDS = ["red", "blue", "cotton", "shirt", "steel", "pan"]
TEXTS = {"a": "red cotton shirt", "b": "blue shirt", "c": "steel pan", "d": ""}


@pytest.fixture
def dataset(tmp_path):
    with DatasetFolder(tmp_path / "data", "toy") as folder:
        (folder.path / "toy.inter").write_text("user_id:token\titem_id:token\nu\ta\n")
        folder.write_items(list(TEXTS), {"text:token_seq": list(TEXTS.values())})
    return Dataset("toy", tmp_path / "data")


def run(dataset, *words):
    return main(["encode", "--name", "toy", "--data-path", str(dataset.folder.parent), *words])


def paired(path, kind):
    """A model of images and texts of this kind in a folder."""
    transformers = pytest.importorskip("transformers")
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    special = ["<pad>", "<unk>", "<s>", "</s>"]
    text = {**small, "vocab_size": len(special) + len(WORDS), "max_position_embeddings": 8}
    text |= {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    image = {**small, "image_size": 32, "patch_size": 16}
    configs = {
        "clip": (transformers.CLIPConfig, transformers.CLIPModel, transformers.CLIPImageProcessor),
        "siglip": (transformers.SiglipConfig, transformers.SiglipModel, transformers.SiglipImageProcessor),
    }
    config, model, processor = configs[kind]
    more = {"projection_dim": 8} if kind == "clip" else {}
    model(config(text_config={**text, **more}, vision_config={**image, **more}, **more)).save_pretrained(path)
    size = {"height": 32, "width": 32}
    sizes = {"size": {"shortest_edge": 32}, "crop_size": size} if kind == "clip" else {"size": size}
    processor(**sizes).save_pretrained(path)
    words(transformers, special).save_pretrained(path)
    return path


def words(transformers, special):
    tokenizers = pytest.importorskip("tokenizers")
    vocabulary = {word: number for number, word in enumerate([*special, *WORDS])}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 2), ("</s>", 3)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )


def pictures(folder):
    image_module = pytest.importorskip("PIL.Image")
    folder.mkdir()
    for number, item in enumerate("ab"):
        pixels = np.random.default_rng(number).integers(0, 255, (40, 50, 3), dtype=np.uint8)
        image_module.fromarray(pixels).save(folder / f"{item}.png")
    return folder


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_images_and_texts_of_one_model_lie_in_one_space(dataset, tmp_path, kind):
    model = paired(tmp_path / "model", kind)
    assert run(dataset, "--text", f"{kind}/{model}") == 0
    assert run(dataset, "--image", f"{kind}/{model}", "--images", str(pictures(tmp_path / "images"))) == 0
    text, has_text = dataset.matrix("textual")
    image, has_image = Dataset("toy", dataset.folder.parent).matrix("visual")
    assert text.shape == image.shape == (4, 8 if kind == "clip" else 16)
    assert has_text.tolist() == [True, True, True, False] and has_image.tolist() == [True, True, False, False]
    assert not np.allclose(text[0], text[1]) and not np.allclose(image[0], image[1])
    transformers = pytest.importorskip("transformers")
    network = transformers.AutoModel.from_pretrained(model).eval()
    tokens = transformers.AutoTokenizer.from_pretrained(model)
    padding = {"padding": "max_length", "max_length": 8} if kind == "siglip" else {}
    with hub.running():
        alone = network.get_text_features(**tokens(TEXTS["c"], return_tensors="pt", **padding))
        np.testing.assert_allclose(text[2], hub.pooled(alone)[0], rtol=1e-4, atol=1e-5)


def test_a_model_without_some_of_its_weights_is_refused(dataset, tmp_path, capfd):
    """They would be random numbers; what else a model has is passed over without a word."""
    transformers = pytest.importorskip("transformers")
    model, images = paired(tmp_path / "model", "clip"), pictures(tmp_path / "images")
    assert run(dataset, "--image", f"clip/{model}", "--images", str(images)) == 0
    assert "UNEXPECTED" not in "".join(capfd.readouterr())
    whole = transformers.CLIPModel.from_pretrained(model)
    transformers.CLIPVisionModel(whole.config.vision_config).save_pretrained(model)  # without a projection
    arguments = ["--image", f"clip/{model}", "--images", str(images), "--force"]
    assert run(dataset, *arguments) == 2
    said = "".join(capfd.readouterr())
    assert "lacks 1 weights of a CLIPVisionModelWithProjection, which would be random" in said


def video(path, colours):
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for colour in colours:
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), colour, np.uint8), format="rgb24")
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)


def test_a_video_is_the_mean_of_its_frames(dataset, tmp_path, monkeypatch):
    folder = tmp_path / "videos"
    folder.mkdir()
    video(folder / "a.mp4", [(200, 0, 0)] * 10 + [(0, 0, 200)] * 10)
    video(folder / "b.mp4", [(0, 200, 0)] * 3)
    (folder / "c.mp4").write_bytes(b"no video")

    def load(model):
        from PIL import Image

        def encoder(paths):
            values = [np.asarray(Image.open(path)).mean(axis=(0, 1)) for path in paths if path]
            found = np.array(values or [[0.0] * 3], dtype=np.float32)
            return found, np.array([bool(path) for path in paths])

        return encoder

    monkeypatch.setitem(registry.IMAGE, "mean", load)
    assert run(dataset, "--video", "mean", "--videos", str(folder), "--frames", "4") == 0
    values, mask = dataset.matrix("video")
    assert mask.tolist() == [True, True, False, False]
    np.testing.assert_allclose(values[:2], [[100, 0, 100], [0, 200, 0]], atol=12)
    assert len(media.frames(str(folder / "a.mp4"), 3)) == 3


def sound(path, pitch, seconds=2, rate=8000):
    import wave

    samples = np.sin(np.arange(seconds * rate) * 2 * np.pi * pitch / rate) * 8000 * (pitch > 0)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(samples.astype("<i2").tobytes())


def test_sounds_by_clap(dataset, tmp_path):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("av")
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    audio = {"patch_embeds_hidden_size": 16, "hidden_size": 32, "depths": [1, 1], "projection_dim": 8}
    audio |= {"num_attention_heads": [2, 2], "num_mel_bins": 64, "spec_size": 256, "enable_fusion": False}
    text = {**small, "vocab_size": 20, "projection_dim": 8, "max_position_embeddings": 16}
    model = transformers.ClapModel(
        transformers.ClapConfig(text_config=text, audio_config=audio, projection_dim=8)
    )
    model.save_pretrained(tmp_path / "clap")
    transformers.ClapFeatureExtractor(truncation="rand_trunc").save_pretrained(tmp_path / "clap")
    folder = tmp_path / "sounds"
    folder.mkdir()
    for item, pitch in (("a", 440), ("b", 1500), ("c", 0)):
        sound(folder / f"{item}.wav", pitch)
    (folder / "d.wav").write_bytes(b"no sound")
    assert run(dataset, "--audio", f"clap/{tmp_path / 'clap'}", "--sounds", str(folder)) == 0
    values, mask = dataset.matrix("acoustic")
    assert mask.tolist() == [True, True, False, False] and values.shape == (4, 8)
    assert not np.allclose(values[0], values[1])
    heard = media.samples(str(folder / "a.wav"), 48000)
    assert abs(len(heard) - 96000) < 2000 and 0.2 < np.abs(heard).max() < 0.3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--video", "mean"], "--video needs --videos, the folder of the video files"),
        (["--audio", "clap/x", "--sounds", "nowhere"], "There is no folder nowhere; --sounds names"),
        (
            ["--audio", "clap/x", "--sounds", "."],
            "has no audio of an item of toy; name the files <item id>.mp3",
        ),
        (["--text", "tfidf", "--download"], "--download is for --image, whose addresses it fetches"),
        (["--image", "x", "--images", "new", "--download"], "No item of toy has an address in the column"),
    ],
)
def test_mistakes_are_one_sentence(dataset, capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert run(dataset, *arguments) == 2
    assert message in capsys.readouterr().err


def test_frames_that_are_none_are_refused(tmp_path):
    with pytest.raises(DataError, match="0 frames are none; choose 1 or more"):
        registry.video_encoder("clip/x", 0)


@pytest.mark.skipif("not __import__('torch').cuda.is_available()", reason="there is no GPU")
def test_a_gpu_runs_models_in_mixed_precision():
    import torch

    with hub.running():
        assert (torch.ones(4, 4, device="cuda") @ torch.ones(4, 4, device="cuda")).dtype in (
            torch.bfloat16,
            torch.float16,
        )
