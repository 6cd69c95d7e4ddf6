"""What Amazon's 2014 and 2023 data share: reviews to interactions, product metadata to item columns."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dataset_tools.dataset.interactions import Builder, Interactions
from dataset_tools.formats.atomic import clean, finite
from dataset_tools.formats.records import RecordFile, text_of


def read_reviews(
    reviews: RecordFile, user: str, item: str, rating: str, time: str, per_second: int = 1
) -> Interactions:
    """Interactions from records with the named fields; `per_second`: the unit of their times."""
    builder = Builder(rating=True, timestamp=True)
    for line, review in reviews:
        try:
            ids = review[user], review[item]
            numbers = finite(review[rating]), finite(review[time]) / per_second
        except KeyError as error:
            reviews.bad(line, f"no field {error}")
        except (TypeError, ValueError) as error:
            reviews.bad(line, error)
        else:
            texts = all(isinstance(token, str) for token in ids)
            problem = builder.problem(*ids) if texts else "an id is not a text"
            if problem:
                reviews.bad(line, problem)
            else:
                builder.add(*ids, *numbers)
    return builder.build()


def item_columns(
    meta: RecordFile, key: str, items: Sequence[str], columns: Mapping[str, Callable[[dict[str, Any]], str]]
) -> dict[str, list[str]]:
    """For every column one text per item, made from its record; empty where there is none."""
    place = {item: number for number, item in enumerate(items)}
    found = {name: [""] * len(items) for name in columns}
    for _, product in meta:
        item = product.get(key)
        number = place.get(item) if isinstance(item, str) else None
        if number is not None:
            for name, make in columns.items():
                found[name][number] = clean(make(product))
    return found


def item_text(product: dict[str, Any], fields: Sequence[str]) -> str:
    """The words of the named fields, in that order."""
    return " ".join(filter(None, (text_of(product.get(field)) for field in fields)))
