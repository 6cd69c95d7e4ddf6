"""The one exception that the converters raise for a reader's mistake."""

import re

BREAKS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
LONGEST = 700  # characters of a sentence, which quotes names and values of any length


class DataError(ValueError):
    """Input that cannot be converted; its text is one sentence: what, where, what to do."""

    def __init__(self, sentence: object):
        super().__init__(in_one_line(str(sentence)))


def in_one_line(sentence: str) -> str:
    """A sentence without line breaks, and without the middle where what it quotes makes it very long."""
    sentence = BREAKS.sub(" ", sentence)
    if len(sentence) <= LONGEST:
        return sentence
    return f"{sentence[: LONGEST // 2]} ... {sentence[-LONGEST // 2 :]}"
