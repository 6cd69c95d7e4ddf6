"""Texts to vectors by the words that they share, learned from the texts themselves."""

from collections.abc import Sequence

import numpy as np

from dataset_tools.errors import DataError
from dataset_tools.features.encoders.contract import Embed

WIDTH = 128


def load(model: str, corpus: Sequence[str], width: int = WIDTH) -> Embed:
    """TF-IDF of words reduced by truncated SVD to at most `width` columns."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    word, least = r"\b\w+\b", 2 if len(corpus) > 100 else 1
    words = TfidfVectorizer(sublinear_tf=True, min_df=least, token_pattern=word)
    try:
        matrix = words.fit_transform(corpus)
    except ValueError:
        raise DataError("The items have no texts that TF-IDF could learn words from.") from None
    if min(matrix.shape) < 2:  # nothing to reduce
        return lambda texts: words.transform(texts).toarray()
    with np.errstate(divide="ignore", invalid="ignore"):  # equal texts have no variance to explain
        svd = TruncatedSVD(max(1, min(width, min(matrix.shape) - 1)), random_state=0).fit(matrix)
    return lambda texts: svd.transform(words.transform(texts))
