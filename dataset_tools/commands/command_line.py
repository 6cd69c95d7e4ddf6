"""The commands of `python -m dataset_tools`: their options, and what they call."""

import argparse
from pathlib import Path

from dataset_tools.converters import micro_layout, mmrec_export, mmrec_layout, plain_tables
from dataset_tools.converters.amazon import amazon2014, amazon2023
from dataset_tools.dataset import catalog, provenance, summary
from dataset_tools.dataset.item_table import ItemTable
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from dataset_tools.features.encoders import registry
from dataset_tools.inspection import dataset_plots, dataset_report
from dataset_tools.operations import encoding, joining, resplit, splits

Options = argparse.Namespace


def prepare(commands) -> None:
    """prepare NAME"""
    command = _add(
        commands, "prepare", "make a known data set: ml-100k, baby, sports, clothing, or a category"
    )
    command.add_argument("name", help="ml-100k, baby, sports, clothing, or a category name of Amazon 2014")
    _amazon_2014(command)
    command.add_argument(
        "--raw", metavar="DIR", help="take the source files from here instead of downloading"
    )
    command.add_argument(
        "--mirror", metavar="URL", help=f"download from here (default: {catalog.AMAZON_2014})"
    )
    _encoder(command)
    _chance(command)
    _target(command)
    command.set_defaults(run=_run_prepare)


def _run_prepare(options: Options) -> None:
    known = catalog.KNOWN.get(options.name)
    more = {}
    if known is not None and known.needs_download:
        names = ("raw", "mirror", "official_text", "official_images", "text", "split", "seed", "skip_bad")
        more = {name: getattr(options, name) for name in names}
    elif options.raw or options.mirror or options.official_text or options.official_images:
        raise DataError(
            f"{options.name} comes with RecBole; leave out --raw, --mirror and the --official options."
        )
    _show(catalog.prepare(options.name, options.data_path, half=options.half, force=options.force, **more))


def convert(commands) -> None:
    """convert LAYOUT"""
    command = _add(commands, "convert", "turn files in a published layout into a data set")
    layouts = command.add_subparsers(required=True, metavar="layout")
    _convert_micro(layouts)
    _convert_mmrec(layouts)
    _convert_amazon_2014(layouts)
    _convert_amazon_2023(layouts)
    _convert_table(layouts)


def _convert_micro(layouts) -> None:
    layout = _add(layouts, "micro", "the JSON layout of MICRO, LATTICE and MMSSL")
    layout.add_argument("--from", dest="source", required=True, metavar="DIR", help="folder of the layout")
    layout.add_argument("--core", default="5-core", help="folder of the split; 0-core is the cold-start one")
    _named(layout)
    _target(layout)
    layout.set_defaults(
        run=lambda o: _show(
            micro_layout.convert(o.source, o.name, o.data_path, core=o.core, half=o.half, force=o.force)
        )
    )


def _convert_mmrec(layouts) -> None:
    layout = _add(layouts, "mmrec", "MMRec's layout: X.inter with x_label, features in item order")
    layout.add_argument("--from", dest="source", required=True, metavar="DIR", help="folder of the layout")
    layout.add_argument(
        "--rename", nargs="+", default=[], metavar="STEM=NAME", help="names of modalities by feature file"
    )
    layout.add_argument("--seed", type=int, default=0, help="for a split where x_label is missing")
    layout.add_argument("--skip-bad", action="store_true", help="leave out and count broken rows")
    _item_table(layout, "table of items with a column itemID")
    _named(layout)
    _target(layout)
    layout.set_defaults(run=_run_mmrec)


def _run_mmrec(options: Options) -> None:
    rename = dict(pair.partition("=")[::2] for pair in options.rename)
    if not all(rename.values()):
        raise DataError("--rename takes pairs STEM=NAME, such as vggish=audio.")
    folder = mmrec_layout.convert(
        options.source,
        options.name,
        options.data_path,
        rename=rename,
        skip_bad=options.skip_bad,
        about=ItemTable(options.items, options.title, _list(options.texts), options.image),
        seed=options.seed,
        half=options.half,
        force=options.force,
    )
    _show(folder)


def _convert_amazon_2014(layouts) -> None:
    layout = _add(
        layouts, "amazon2014", "Amazon 2014: reviews_X_5.json.gz, meta_X.json.gz, image_features_X.b"
    )
    layout.add_argument("--raw", required=True, metavar="DIR", help="folder of the three files")
    layout.add_argument("--category", required=True, help="X in the files' names")
    _amazon_2014(layout)
    _encoder(layout)
    _chance(layout)
    _named(layout)
    _target(layout)
    layout.set_defaults(run=_run_amazon_2014)


def _run_amazon_2014(options: Options) -> None:
    names = ("official_text", "official_images", "text", "split", "seed", "skip_bad", "half", "force")
    more = {name: getattr(options, name) for name in names}
    _show(amazon2014.convert(options.raw, options.category, options.name, options.data_path, **more))


def _amazon_2014(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--official-text", action="store_true", help="the text order of MICRO's code, title doubled"
    )
    command.add_argument(
        "--official-images", action="store_true", help="a missing image gets the mean of the others"
    )


def _convert_amazon_2023(layouts) -> None:
    layout = _add(layouts, "amazon2023", "Amazon Reviews 2023: reviews and metadata as .jsonl.gz")
    layout.add_argument("--reviews", required=True, metavar="F", help="X.jsonl.gz")
    layout.add_argument("--meta", required=True, metavar="F", help="meta_X.jsonl.gz")
    _core(layout, 5)
    layout.add_argument("--min-rating", type=float, help="leave out lower ratings")
    _encoder(layout)
    _chance(layout)
    _named(layout)
    _target(layout)
    layout.set_defaults(run=_run_amazon_2023)


def _run_amazon_2023(options: Options) -> None:
    names = ("min_rating", "text", "split", "seed", "skip_bad", "half", "force")
    more = {name: getattr(options, name) for name in names}
    folder = amazon2023.convert(
        options.reviews, options.meta, options.name, options.data_path, core=options.k_core, **more
    )
    _show(folder)


def _convert_table(layouts) -> None:
    layout = _add(layouts, "table", "plain tables: CSV, TSV or Parquet")
    layout.add_argument("--interactions", required=True, metavar="F", help="table of interactions")
    layout.add_argument("--user", required=True, metavar="C", help="column of user ids")
    layout.add_argument("--item", required=True, metavar="C", help="column of item ids, in both tables")
    layout.add_argument("--rating", metavar="C", help="column of ratings")
    layout.add_argument("--time", metavar="C", help="column of times: numbers or ISO dates")
    layout.add_argument("--min-rating", type=float, help="leave out lower ratings")
    _core(layout, 0)
    _item_table(layout, "table of items")
    layout.add_argument("--encoder", default="tfidf", help=f"of the text: {', '.join(registry.TEXT)}")
    _chance(layout, split="none")
    _named(layout)
    _target(layout)
    layout.set_defaults(run=_run_table)


def _run_table(options: Options) -> None:
    names = ("user", "item", "rating", "time", "min_rating", "items", "title", "image", "split", "seed")
    more = {name: getattr(options, name) for name in (*names, "skip_bad", "half", "force")}
    folder = plain_tables.convert(
        options.interactions,
        options.name,
        options.data_path,
        core=options.k_core,
        texts=_list(options.texts),
        text_encoder=options.encoder,
        **more,
    )
    _show(folder)


def features(commands) -> None:
    """features --input F --modality M --name NAME"""
    command = _add(commands, "features", "add a modality's features from a file to a data set")
    command.add_argument("--input", "--npy", metavar="F", help="the matrix, in any of the known formats")
    command.add_argument("--modality", required=True, help="its name: visual, textual, ...")
    whose = command.add_mutually_exclusive_group()
    whose.add_argument("--ids", metavar="LIST", help="one item id per line, in the order of the rows")
    whose.add_argument("--mapping", metavar="FILE", help="item id and row number, tab or comma between")
    whose.add_argument("--row-order", action="store_true", help="row i belongs to line i of NAME.item")
    command.add_argument("--key", help="the array of an archive, or the id column of a table")
    command.add_argument("--skip-bad", action="store_true", help="leave out and count rows that do not fit")
    command.add_argument(
        "--as-text", action="store_true", help="write RecBole's text form of a modality that is there"
    )
    _named(command)
    _target(command)
    command.set_defaults(run=_run_features)


def _run_features(options: Options) -> None:
    dataset = Dataset(options.name, options.data_path)
    if options.as_text:
        print(joining.export_text(dataset, options.modality, options.force))
        return
    if not options.input:
        raise DataError("--input is missing; name the file that holds the features.")
    names = ("ids", "mapping", "row_order", "key", "half", "skip_bad", "force")
    more = {name: getattr(options, name) for name in names}
    joining.add_features(dataset, options.modality, options.input, **more)
    _show(dataset.folder)


def encode(commands) -> None:
    """encode --name NAME --text SPEC | --image SPEC --images DIR"""
    command = _add(commands, "encode", "make features of a data set's texts or images")
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument("--text", metavar="ENCODER", help=", ".join(registry.TEXT))
    what.add_argument("--image", metavar="ENCODER", help=", ".join(registry.IMAGE))
    command.add_argument("--columns", metavar="C,C", help="columns of NAME.item that make the text")
    command.add_argument(
        "--images", metavar="DIR", help="folder of images: <item id>.jpg, or as NAME.item says"
    )
    command.add_argument("--modality", help="name of the features (default: textual or visual)")
    _named(command)
    _target(command)
    command.set_defaults(run=_run_encode)


def _run_encode(options: Options) -> None:
    dataset = Dataset(options.name, options.data_path)
    more = {"half": options.half, "force": options.force}
    if options.modality:
        more["modality"] = options.modality
    if options.text:
        missing = encoding.encode_texts(dataset, options.text, columns=_list(options.columns), **more)
    elif options.images:
        missing = encoding.encode_images(dataset, options.image, options.images, **more)
    else:
        raise DataError("--image needs --images, the folder of the image files.")
    _show(dataset.folder)
    if missing:
        print(f"  {len(missing):,} items without features, first {', '.join(missing[:5])}")


def split(commands) -> None:
    """split NAME --how HOW"""
    command = _add(commands, "split", "split a data set's interactions anew")
    command.add_argument("name", help="the data set")
    command.add_argument("--how", choices=resplit.HOW, default="paper", help="(default: %(default)s)")
    command.add_argument(
        "--ratios", nargs=3, type=float, default=(0.8, 0.1, 0.1), metavar="R", help="for ratio, time"
    )
    command.add_argument(
        "--cold", type=float, metavar="SHARE", help="withhold this share of the items, into NAME-cold"
    )
    command.add_argument("--keep-warm", action="store_true", help="with --cold: all else is for training")
    command.add_argument("--seed", type=int, default=0, help="of the random choice (default: %(default)s)")
    command.add_argument(
        "--to-name", "--name", dest="to_name", metavar="NAME", help="leave this data set and make another one"
    )
    _where(command)
    command.set_defaults(run=_run_split)


def _run_split(options: Options) -> None:
    folder = resplit.split_dataset(
        Dataset(options.name, options.data_path),
        options.how if options.cold is None else "cold",
        ratios=tuple(options.ratios),
        cold_share=splits.WITHHELD if options.cold is None else options.cold,
        keep_warm=options.keep_warm,
        seed=options.seed,
        name=options.to_name or (None if options.cold is None else f"{options.name}-cold"),
        force=options.force,
    )
    _show(folder)


def inspect(commands) -> None:
    """inspect NAME"""
    command = _add(commands, "inspect", "statistics, coverage, nearest neighbours, the paper's pilot studies")
    command.add_argument("name", help="the data set")
    command.add_argument(
        "--plot", metavar="FILE", help="also draw degrees and coverage, to .png, .svg or .pdf"
    )
    command.add_argument("--data-path", default="dataset", help="where data sets are (default: %(default)s)")
    command.set_defaults(run=_run_inspect)


def _run_inspect(options: Options) -> None:
    dataset = Dataset(options.name, options.data_path)
    if options.plot:
        dataset_plots.check(options.plot)
    for line in dataset_report.report(dataset):
        print(line, flush=True)
    if options.plot:
        print(dataset_plots.save(dataset, options.plot))


def export(commands) -> None:
    """export mmrec --name NAME --to DIR"""
    command = _add(commands, "export", "write a data set in another layout")
    layouts = command.add_subparsers(required=True, metavar="layout")
    layout = _add(layouts, "mmrec", "MMRec's layout, for a data set with a fixed split")
    layout.add_argument("--to", required=True, metavar="DIR", help="folder to write")
    _named(layout)
    _where(layout)
    layout.set_defaults(run=_run_export)


def _run_export(options: Options) -> None:
    folder, missing = mmrec_export.export(Dataset(options.name, options.data_path), options.to, options.force)
    print(folder)
    for modality, count in missing.items():
        if count:
            print(f"  {modality}: {count:,} items without features have rows of zeros")


ALL = (prepare, convert, features, encode, split, inspect, export)


def _add(commands, name: str, what: str) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.")


def _named(command: argparse.ArgumentParser) -> None:
    command.add_argument("--name", required=True, help="name of the data set")


def _where(command: argparse.ArgumentParser) -> None:
    command.add_argument("--data-path", default="dataset", help="where data sets are (default: %(default)s)")
    command.add_argument("--force", action="store_true", help="replace what is there")


def _target(command: argparse.ArgumentParser) -> None:
    _where(command)
    command.add_argument("--half", action="store_true", help="store features as float16")


def _item_table(command: argparse.ArgumentParser, what: str) -> None:
    command.add_argument("--items", metavar="F", help=what)
    command.add_argument("--title", metavar="C", help="column of titles")
    command.add_argument("--text", dest="texts", metavar="C,C", help="columns that make the items' text")
    command.add_argument("--image", metavar="C", help="column of image names or addresses")


def _list(text: str | None) -> list[str]:
    return text.split(",") if text else []


def _core(command: argparse.ArgumentParser, default: int) -> None:
    command.add_argument(
        "--k-core",
        type=_count,
        default=default,
        metavar="K",
        help="least interactions per user and item, 0 keeps all (default: %(default)s)",
    )


def _count(text: str) -> int:
    """A whole number >= 0."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number >= 0")
    return value


def _encoder(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--text",
        default="tfidf",
        metavar="ENCODER",
        help=f"{', '.join(registry.TEXT)} (default: tfidf)",
    )


def _chance(command: argparse.ArgumentParser, split: str = "paper") -> None:
    command.add_argument(
        "--split",
        choices=("paper", "cold", "none"),
        default=split,
        help="80/10/10 per user, a fifth of the items, or left to RecBole (default: %(default)s)",
    )
    command.add_argument("--seed", type=int, default=0, help="of the split (default: %(default)s)")
    command.add_argument("--skip-bad", action="store_true", help="leave out and count broken records")


def _show(folder: Path) -> None:
    print(folder)
    for line in summary.lines(provenance.read_steps(folder, folder.name)[-1]["summary"]):
        print(f"  {line}")
