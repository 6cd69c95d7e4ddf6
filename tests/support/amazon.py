"""Amazon's files of 2014 in their exact format, small."""

import gzip
import json

import numpy as np

ASINS = [f"B{n:09d}" for n in range(12)] + ["0000000007"]
IMAGES = {
    asin: np.random.default_rng(n).random(4096, dtype=np.float32) for n, asin in enumerate(ASINS) if n != 3
}


def reviews():
    """As in the files: more keys than are used, tabs, quotes and letters beyond ASCII."""
    generator = np.random.default_rng(5)
    for user in range(14):
        for item in generator.choice(len(ASINS), 5 + user % 8, replace=False):
            yield {
                "reviewerID": f"A{user}\u00dcX", "asin": ASINS[item], "reviewerName": "N. \"Q\"",
                "reviewText": "it's\ta \"good\" one",
                "overall": float(1 + item % 5),
                "summary": "x", "unixReviewTime": 1370000000 + int(item), "reviewTime": "05 31, 2013",
            }  # fmt: skip


def metadata():
    for n, asin in enumerate(ASINS):
        product = {"asin": asin, "title": f'Title {n} "quoted"', "price": 5.5, "salesRank": {"Baby": n}}
        product["categories"] = [["Baby", f"Cat{n % 3}"], ["Toys"]]
        if n % 2:
            product["brand"] = f"Brand{n}"
        product["description"] = f"It's\nlong\ttext {n} \u00e9"
        yield product
    yield {"asin": "ZZZZZZZZZZ", "title": "not in the reviews"}
    yield {"related": {"also_bought": ["B000000001"]}, "asin": "YYYYYYYYYY", "title": "asin not first"}


def write(folder, category="Toy"):
    folder.mkdir()
    with gzip.open(folder / f"reviews_{category}_5.json.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(review) + "\n" for review in reviews())
    with gzip.open(folder / f"meta_{category}.json.gz", "wt", encoding="utf-8") as file:
        file.writelines(repr(product) + "\n" for product in metadata())
    with open(folder / f"image_features_{category}.b", "wb") as file:
        for asin, values in {"XXXXXXXXXX": np.zeros(4096, "<f4"), **IMAGES}.items():
            file.write(asin.encode() + values.astype("<f4").tobytes())
    return folder
