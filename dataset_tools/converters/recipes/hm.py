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
from dataset_tools.converters.numbered_items import remark_unread
from dataset_tools.converters.plain_tables import TableOptions
from dataset_tools.converters.recipes import files
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.interactions import Interactions
from dataset_tools.errors import DataError
from dataset_tools.operations.filtering import EVENTS

DIGITS = 10
TEXTS = ("prod_name", "product_type_name", "colour_group_name", "department_name", "detail_desc")


@dataclass(frozen=True, kw_only=True)
class HmOptions(shared.TextRecipeOptions):
    events: str = option(
        "first", "which of several purchases of an article counts (default: %(default)s)",
        choices=[how for how in EVENTS if how != "sum"],
    )  # fmt: skip
    text: str | None = shared.encoded("names and descriptions")


@converter("H&M: transactions_train.csv and articles.csv", HmOptions)
def convert(folder: DatasetFolder, options: HmOptions) -> None:
    """Write the purchases with their days as times, names, and texts where they are encoded."""
    source = files.check_folder(options.source)
    rows = files.the_one(_named(source, "transactions_train"), "transactions_train.csv", source)
    articles = files.at_most_one(_named(source, "articles"), "articles.csv", source)
    header = files.first_line(articles).split(",") if articles else []
    texts = [name for name in TEXTS if name in header] if options.text else []
    table = TableOptions(
        interactions=rows, user="customer_id", item="article_id", time="t_dat", events=options.events,
        items=articles, title="prod_name" if articles else None, texts=texts,
        **options.passed_on(),
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
        remark_unread(folder, source, filter(None, [rows, articles]))
        return []

    plain_tables.write(
        folder, table, "convert hm", recorded(options), only_used=True, more=more, choose=choose
    )


def _named(source: Path, stem: str) -> list[Path]:
    return [path for path in files.below(source, (".csv",)) if path.name.split(".")[0] == stem]
