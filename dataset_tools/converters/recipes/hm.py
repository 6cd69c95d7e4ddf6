"""H&M (Kaggle): `transactions_train.csv`, `articles.csv` and pictures in folders of their first three digits.

https://www.kaggle.com/competitions/h-and-m-personalized-fashion-recommendations; the competition's rules.
31.8 M rows of transactions, repeated purchases among them.  Articles have ten digits with a leading 0, which
programs that take them for numbers drop; customers are hashes.
`encode --image clip/<model> --images DIR/images` finds `images/010/0108775015.jpg`.
"""

from dataclasses import dataclass
from pathlib import Path

from dataset_tools.converters import plain_tables
from dataset_tools.converters import shared_options as shared
from dataset_tools.converters.declaration import converter, option, recorded
from dataset_tools.converters.numbered_items import not_read
from dataset_tools.converters.plain_tables import TableOptions
from dataset_tools.converters.recipes import files
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.interactions import Interactions
from dataset_tools.errors import DataError
from dataset_tools.operations.filtering import EVENTS

DIGITS = 10
TEXTS = ("prod_name", "product_type_name", "colour_group_name", "department_name", "detail_desc")


@dataclass(frozen=True, kw_only=True)
class HmOptions:
    source: str | Path = option(help="folder of the files", source=True, flag="--from", metavar="DIR")
    events: str = option(
        "first", "which of several purchases of an article counts (default: %(default)s)",
        choices=[how for how in EVENTS if how != "sum"],
    )  # fmt: skip
    core: int = shared.k_core(0)
    text: str | None = option(None, "encode names and descriptions with this encoder", metavar="ENCODER")
    split: str = shared.split("none")
    seed: int = shared.seed()
    skip_bad: bool = shared.skip_bad()
    half: bool = shared.half()


@converter("H&M: transactions_train.csv and articles.csv", HmOptions)
def convert(folder: DatasetFolder, options: HmOptions) -> None:
    """Write the purchases with their days as times, names, and texts where they are encoded."""
    source = files.check_folder(options.source)
    rows, articles = (
        files.the_one(_named(source, stem), f"{stem}.csv", source, needed)
        for stem, needed in (("transactions_train", True), ("articles", False))
    )
    if rows is None:
        raise DataError(f"{source} has no transactions_train.csv.")
    header = files.first_line(articles).split(",") if articles else []
    texts = [name for name in TEXTS if name in header] if options.text else []
    table = TableOptions(
        interactions=rows, user="customer_id", item="article_id", time="t_dat", events=options.events,
        items=articles, title="prod_name" if articles else None, texts=texts,
        text_encoder=options.text or "tfidf",
        **shared.passed_on(options),
    )  # fmt: skip

    def choose(found: Interactions) -> Interactions:
        short = next((item for item in found.items if item.isdecimal() and len(item) < DIGITS), None)
        if short is not None:
            raise DataError(
                f"{rows}: the article {short} has {len(short)} digits instead of {DIGITS}, as a program that "
                "took the ids for numbers has dropped their leading 0; take the file as it was downloaded."
            )
        return found

    def more(found: Interactions) -> list[Path]:
        for line in not_read([rows.parent], [rows, *([articles] if articles else [])]):
            folder.remark(line)
        return []

    plain_tables.write(
        folder, table, "convert hm", recorded(options), only_used=True, more=more, choose=choose
    )


def _named(source: Path, stem: str) -> list[Path]:
    return [path for path in files.below(source, (".csv",)) if path.name.split(".")[0] == stem]
