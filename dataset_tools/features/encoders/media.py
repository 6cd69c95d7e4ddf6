"""Frames of videos and samples of sounds, by PyAV."""

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from dataset_tools.errors import DataError
from dataset_tools.features.encoders.contract import Encoder

LONGEST = 600  # seconds of a sound that are read


def check() -> Any:
    """PyAV; DataError where it is not installed."""
    try:
        import av
    except ImportError:
        raise DataError(
            "Videos and sounds need the package av; run pip install 'recbole_micro[encoders]'."
        ) from None
    return av


def frames(path: str, count: int) -> list[Any]:
    """At most `count` pictures of a video, spread evenly over its length; none of a file that is none."""
    av = check()
    found = []
    try:
        with av.open(path) as container:
            stream = container.streams.video[0]
            length = (stream.duration or 0) * (stream.time_base or 0) or (
                container.duration or 0
            ) / av.time_base
            for number in range(count):
                moment = float(length) * (number + 0.5) / count
                container.seek(int(moment * av.time_base))
                frame = _at(container.decode(stream), moment)
                if frame is not None:
                    found.append(frame.to_image())
    except (av.FFmpegError, OSError, IndexError, ValueError):
        pass
    return found


def _at(decoded: Any, moment: float) -> Any:
    """The first frame at or after a moment, else the last one there is."""
    last = None
    for frame in decoded:
        last = frame
        if frame.time is None or frame.time >= moment:
            break
    return last


def samples(path: str, rate: int) -> np.ndarray:
    """A sound as float32 [n], one channel, `rate` samples a second; empty where a file cannot be read."""
    av = check()
    parts: list[np.ndarray] = []
    try:
        with av.open(path) as container:
            resample = av.AudioResampler(format="flt", layout="mono", rate=rate)
            for frame in container.decode(container.streams.audio[0]):
                parts += [one.to_ndarray().ravel() for one in resample.resample(frame)]
                if sum(map(len, parts)) >= LONGEST * rate:
                    break
            parts += [one.to_ndarray().ravel() for one in resample.resample(None)]
    except (av.FFmpegError, OSError, IndexError, ValueError):
        return np.empty(0, np.float32)
    return np.concatenate(parts or [np.empty(0)]).astype(np.float32)[: LONGEST * rate]


def mean_of_frames(load: Callable[[], Encoder], count: int) -> Encoder:
    """An encoder of videos: the mean of what an image encoder makes of `count` frames of each."""
    if count < 1:
        raise DataError(f"{count} frames are none; choose 1 or more.")
    check()
    images = load()

    def encoder(paths: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        with TemporaryDirectory() as folder:
            files: list[str] = []
            owner: list[int] = []
            for number, path in enumerate(paths):
                for frame in frames(path, count) if path else []:
                    files.append(str(Path(folder) / f"{len(files)}.png"))
                    frame.save(files[-1])
                    owner.append(number)
            found, there = images(files or [""])
        rows = np.array(owner, dtype=np.int64)[there[: len(owner)]]
        values = np.zeros((len(paths), found.shape[1]), dtype=np.float32)
        np.add.at(values, rows, found[: len(owner)][there[: len(owner)]])
        sizes = np.bincount(rows, minlength=len(paths))
        return values / np.maximum(sizes, 1)[:, None].astype(np.float32), sizes > 0

    return encoder
