"""What an encoder is: the types of the functions that `registry` names."""

from collections.abc import Callable, Sequence

import numpy as np

# a list of inputs to (values float32 [n, d], ok [n]); where `ok` is false the input gave nothing (an empty
# text, a broken image) and the item has no features
Encoder = Callable[[Sequence[str]], tuple[np.ndarray, np.ndarray]]
Embed = Callable[[list[str]], np.ndarray]  # texts that are not blank to [n, d]
# of a model's name ("" without) and all texts of the data set
LoadText = Callable[[str, Sequence[str]], Embed]
LoadImage = Callable[[str], Encoder]  # of a model's name; the encoder's inputs are paths of image files
