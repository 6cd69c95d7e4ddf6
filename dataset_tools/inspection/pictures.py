"""Items' pictures as addresses that hold them, small, so that a page needs nothing outside it."""

import base64
import html
import io
from pathlib import Path

from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from dataset_tools.operations.encode.media_files import media_paths

EDGE = 160  # pixels of a picture's longer side
LARGEST = 32 << 20  # bytes of a file that is opened


class Pictures:
    """The pictures of a data set's items; `shown` says whether there are any."""

    def __init__(self, dataset: Dataset, folder: str | Path | None):
        self._paths: list[str] = []
        self._made: dict[str, str] = {}
        place = Path(folder) if folder is not None else dataset.folder
        if folder is not None and not place.is_dir():
            raise DataError(f"There is no folder {place}; --images names the folder of the image files.")
        self._paths = media_paths(dataset, place, "image")
        self.shown = any(self._paths)
        if folder is not None and not self.shown:
            raise DataError(
                f"{place} has no image of an item of {dataset.name}; name the files <item id>.jpg."
            )
        if self.shown:
            _package()

    def of(self, item: int, alt: str = "") -> str:
        """An `img` of the item at this place, or an empty place; nothing where no item has a picture."""
        if not self.shown:
            return ""
        path = self._paths[item]
        if path and path not in self._made:
            self._made[path] = _small(Path(path))
        source = self._made.get(path, "")
        if not source:
            return '<span class="picture" aria-hidden="true"></span>'
        return f'<img class="picture" alt="{html.escape(alt)}" src="{source}">'


def _package() -> None:
    try:
        import PIL  # noqa: F401
    except ImportError:
        raise DataError("Pictures need the package pillow; run pip install pillow.") from None


def _small(path: Path) -> str:
    """The picture as a data address, "" where the file holds none."""
    from PIL import Image

    try:
        if path.stat().st_size > LARGEST:
            return ""
        with Image.open(path) as image:
            small = image.convert("RGB")
            small.thumbnail((EDGE, EDGE))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return ""
    content = io.BytesIO()
    small.save(content, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode('ascii')}"
