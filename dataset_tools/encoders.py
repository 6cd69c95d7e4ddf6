"""Texts and images to vectors."""

from collections.abc import Sequence

import numpy as np

TFIDF_WIDTH = 128


def tfidf(texts: Sequence[str], width: int = TFIDF_WIDTH, seed: int = 0) -> np.ndarray:
    """TF-IDF of words, reduced by truncated SVD: float32 [len(texts), at most `width`].

    A text without a known word gets a row of zeros.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(
        sublinear_tf=True, min_df=2 if len(texts) > 100 else 1, token_pattern=r"(?u)\b\w+\b"
    )
    matrix = words.fit_transform(texts)
    reduced = TruncatedSVD(min(width, min(matrix.shape) - 1) or 1, random_state=seed).fit_transform(matrix)
    return reduced.astype(np.float32)
