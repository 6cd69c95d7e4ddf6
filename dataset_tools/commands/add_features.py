"""features --input F --modality M --name NAME"""

import argparse

from dataset_tools.commands import arguments
from dataset_tools.commands.arguments import Commands, Options
from dataset_tools.converters.shared_options import column
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from dataset_tools.inspection.dataset_report import alignment_warning
from dataset_tools.operations import joining


def add(commands: Commands) -> None:
    command = arguments.add(
        commands,
        "features",
        "add a modality's features from a file to a data set",
        "--input path/to/baby/image_feat.npy --row-order --modality pictures --name baby",
    )
    command.add_argument("--input", metavar="F", help="the matrix, in any of the known formats")
    command.add_argument("--npy", dest="input", help=argparse.SUPPRESS)  # the option's name of old
    command.add_argument("--modality", required=True, help="its name: visual, textual, ...")
    whose = command.add_mutually_exclusive_group()
    whose.add_argument(
        "--ids",
        metavar="LIST",
        help="one item id per line, or a table with --ids-key, in the order of the rows",
    )
    whose.add_argument("--mapping", metavar="FILE", help="item id and row number, tab or comma between")
    whose.add_argument(
        "--row-order",
        action="store_true",
        help="row i belongs to line i of NAME.item, if that is the source's order",
    )
    command.add_argument("--key", type=column, help="the array of an archive, or the id column of a table")
    command.add_argument(
        "--column", type=column, metavar="C", help="the column of vectors, where a table has several"
    )
    command.add_argument(
        "--ids-key",
        type=column,
        metavar="C",
        help="the array of ids of an archive, or the column of ids of the table --ids",
    )
    command.add_argument("--skip-bad", action="store_true", help="leave out and count rows that do not fit")
    command.add_argument(
        "--as-text", action="store_true", help="write RecBole's text form of a modality that is there"
    )
    arguments.named(command)
    arguments.target(command)
    arguments.half(command)
    command.set_defaults(run=run)


def run(options: Options) -> None:
    dataset = Dataset(options.name, options.data_path)
    if options.as_text:
        print(joining.export_text(dataset, options.modality, options.force))
        return
    if not options.input:
        raise DataError("--input is missing; name the file that holds the features.")
    joining.add_features(
        dataset,
        options.modality,
        options.input,
        ids=options.ids,
        mapping=options.mapping,
        row_order=options.row_order,
        key=options.key,
        column=options.column,
        ids_key=options.ids_key,
        half=options.half,
        skip_bad=options.skip_bad,
        force=options.force,
    )
    arguments.show(dataset.folder)
    warning = alignment_warning(dataset, options.modality)
    if warning:
        print(f"  {warning}")
