"""The JSON layout of MICRO, LATTICE and MMSSL: `<core>/{train,val,test}.json`, id lists, feature matrices.

Items and users are numbers there; `item_list.txt` and `user_list.txt` (original id, tab, number) restore
their ids.  Feature matrices hold one row per item number.
"""

import json
from pathlib import Path

from dataset_tools.arrays import NpyFile
from dataset_tools.errors import DataError
from dataset_tools.feature_file import FeatureWriter
from dataset_tools.folder import DatasetFolder
from dataset_tools.interactions import PARTS, Builder
from dataset_tools.progress import progress

MODALITIES = {"image": "visual", "text": "textual", "audio": "acoustic", "acoustic": "acoustic"}


def convert(
    source: str | Path,
    name: str,
    data_path: str | Path = "dataset",
    *,
    core: str = "5-core",
    half: bool = False,
    force: bool = False,
) -> Path:
    """Write the data set `name` with its fixed split, its items and each `<modality>_feat.npy`; its folder."""
    source = Path(source)
    split = source / core if (source / core).is_dir() else source
    files = [_split_file(split, part) for part in PARTS]
    with DatasetFolder(data_path, name, force) as folder:
        parts = [_read_json(file) for file in files]
        items = _tokens(
            split / "item_list.txt",
            1 + max((i for p in parts for row in p.values() for i in row), default=-1),
        )
        users = _tokens(split / "user_list.txt", 1 + max((user for p in parts for user in p), default=-1))
        builder = Builder(part=True)
        for item in items:
            builder.add_item(item)
        for number, part in enumerate(parts):
            for user, row in part.items():
                for item in row:
                    builder.add(users[user], items[item], part=number)
        folder.write_interactions(builder.build())
        folder.write_items(items)
        for file in feature_files(split, source):
            _write_features(folder, file, items, half)
    return folder.target


def feature_files(*folders: Path) -> list[Path]:
    """The `<modality>_feat.npy` of the first folder that has any."""
    for folder in folders:
        files = sorted(folder.glob("*_feat.npy"))
        if files:
            return files
    return []


def modality_of(file: Path) -> str:
    stem = file.stem.removesuffix("_feat")
    return MODALITIES.get(stem, stem)


def _write_features(folder: DatasetFolder, file: Path, items: list[str], half: bool) -> None:
    matrix = NpyFile(file)
    if matrix.rows != len(items):
        raise DataError(
            f"{file} has {matrix.rows} rows for {len(items)} items; it must have one row per item number."
        )
    modality = modality_of(file)
    with folder.features(modality, matrix.width, half) as writer:
        write_in_order(writer, matrix, items, modality)


def write_in_order(writer: FeatureWriter, matrix: NpyFile, tokens: list[str], label: str) -> None:
    """Row i of the matrix belongs to `tokens[i]`."""
    start = 0
    for block in progress(matrix.blocks(), label):
        writer.write(tokens[start : start + len(block)], block)
        start += len(block)


def _split_file(folder: Path, part: str) -> Path:
    names = ("val.json", "valid.json") if part == "valid" else (f"{part}.json",)
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise DataError(
        f"{folder} has no {names[0]}; --from must name the folder that holds the split or its parent."
    )


def _read_json(file: Path) -> dict[int, list[int]]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {int(user): [int(item) for item in items] for user, items in content.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(f'{file} is not a JSON object of the form {{"user": [items]}} ({error}).') from None


def _tokens(file: Path, count: int) -> list[str]:
    """Original ids by number; the numbers themselves where there is no list."""
    if not file.is_file():
        return [str(number) for number in range(count)]
    tokens: dict[int, str] = {}
    for line, text in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        token, _, number = text.rpartition("\t")
        if not number.isdigit():
            if line == 1:
                continue
            raise DataError(
                f"{file}, line {line}: expected an original id, a tab and a number, got {text!r}."
            )
        tokens[int(number)] = token
    size = max(count, len(tokens))
    absent = [number for number in range(size) if number not in tokens]
    if absent:
        raise DataError(
            f"{file} has no line for number {absent[0]}; every number from 0 to {size - 1} needs one."
        )
    return [tokens[number] for number in range(size)]
