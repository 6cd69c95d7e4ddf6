"""Archives of feature matrices: in blocks, and what they must not hold."""

import pickle
import zipfile

import numpy as np
import pytest
import torch

from dataset_tools.errors import DataError
from dataset_tools.formats.matrices import archives
from dataset_tools.formats.matrices.archives import Npz, Safetensors, Torch

VALUES = np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32)


def npz(path, values=VALUES):
    np.savez_compressed(path / "f.npz", x=values)
    return Npz(path / "f.npz", None)


def npz_by_columns(path):
    return npz(path, np.asfortranarray(VALUES))


def pt(path, values=None, **options):
    torch.save(torch.from_numpy(VALUES) if values is None else values, path / "f.pt", **options)
    return Torch(path / "f.pt", None)


def pt_of_old_versions(path):
    return pt(path, _use_new_zipfile_serialization=False)


def safetensors(path):
    pytest.importorskip("safetensors.numpy").save_file({"x": VALUES}, path / "f.safetensors")
    return Safetensors(path / "f.safetensors", None)


@pytest.mark.parametrize("make", [npz, npz_by_columns, pt, pt_of_old_versions, safetensors])
def test_rows_come_in_blocks_of_bounded_size(tmp_path, monkeypatch, make):
    monkeypatch.setattr(archives, "BLOCK_BYTES", 7 * 3 * 4)
    source = make(tmp_path)
    blocks = [values for _, values in source.blocks()]
    assert (source.rows, source.width) == (50, 3)
    assert max(map(len, blocks)) == 7
    np.testing.assert_array_equal(np.concatenate(blocks), VALUES)


def test_half_and_bfloat16_become_numbers(tmp_path):
    rough = torch.from_numpy(VALUES).bfloat16()
    np.testing.assert_array_equal(next(pt(tmp_path, rough).blocks())[1], rough.float().numpy())
    pytest.importorskip("safetensors.torch").save_file({"x": rough}, tmp_path / "f.safetensors")
    _, values = next(Safetensors(tmp_path / "f.safetensors", None).blocks())
    np.testing.assert_array_equal(values, rough.float().numpy())


class Exploit:
    """Would run a command when unpickled."""

    def __reduce__(self):
        import os

        return os.mkdir, ("pwned",)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (
            lambda p: torch.save(torch.eye(3).to_sparse(), p),
            "f.pt holds a sparse, complex or quantized tensor",
        ),
        (lambda p: torch.save(torch.eye(3) * 1j, p), "f.pt holds a sparse, complex or quantized tensor"),
        (lambda p: torch.save([torch.eye(3)], p), "f.pt holds a list; save a tensor"),
        (lambda p: torch.save({b"x": torch.eye(3), 1: torch.eye(3)}, p), "f.pt has b'x', 1; choose one with"),
        (lambda p: torch.save({"a": {"b": torch.eye(3)}}, p), "f.pt has nothing that fits"),
        (lambda p: p.write_bytes(pickle.dumps(Exploit())), "f.pt is not a whole file of tensors only"),
        (lambda p: p.write_text("hello"), "f.pt is not a whole file of tensors only"),
        (lambda p: p.write_bytes(b"PK" + bytes(50)), "f.pt is not a whole file of tensors only"),
    ],
)
def test_a_pt_that_is_no_tensor_is_one_sentence_and_runs_nothing(tmp_path, monkeypatch, write, message):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "f.pt")
    with pytest.raises(DataError, match=message):
        Torch(tmp_path / "f.pt", None)
    assert not (tmp_path / "pwned").exists()


def test_a_damaged_npz_is_one_sentence(tmp_path):
    whole = npz(tmp_path).path.read_bytes()
    (tmp_path / "f.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="f.npz is damaged or no .npz archive"):
        Npz(tmp_path / "f.npz", None)
    with zipfile.ZipFile(tmp_path / "f.npz", "w") as archive:
        archive.writestr("x.npy", b"no array")
    with pytest.raises(DataError, match="f.npz is damaged or no .npz archive"):
        Npz(tmp_path / "f.npz", None)


def test_a_damaged_safetensors_is_one_sentence(tmp_path):
    path = safetensors(tmp_path).path
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(DataError, match="f.safetensors is damaged or holds no plain numbers"):
        Safetensors(path, None)
