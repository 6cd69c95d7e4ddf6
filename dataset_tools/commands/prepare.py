"""prepare NAME"""

from dataset_tools.commands import arguments
from dataset_tools.commands.arguments import Commands, Options
from dataset_tools.converters.amazon.amazon2014 import Amazon2014Options
from dataset_tools.converters.declaration import add_arguments, given
from dataset_tools.dataset import catalog
from dataset_tools.errors import DataError

FOUND = ("raw", "category")  # the catalogue and the download know them


def add(commands: Commands) -> None:
    command = arguments.add(
        commands,
        "prepare",
        "make a known data set: ml-100k, baby, sports, clothing, or a category",
        "ml-100k",
    )
    command.add_argument("name", help="ml-100k, baby, sports, clothing, or a category name of Amazon 2014")
    command.add_argument(
        "--raw", metavar="DIR", help="take the source files from here instead of downloading"
    )
    command.add_argument(
        "--mirror", metavar="URL", help=f"download from here (default: {catalog.AMAZON_2014})"
    )
    add_arguments(command, Amazon2014Options, leave_out=FOUND)
    arguments.target(command)
    command.set_defaults(run=run)


def run(options: Options) -> None:
    known = catalog.KNOWN.get(options.name)
    more = {"half": options.half}
    if known is not None and known.needs_download:
        more = {"raw": options.raw, "mirror": options.mirror, **given(Amazon2014Options, options, FOUND)}
    elif options.raw or options.mirror or options.official_text or options.official_images:
        raise DataError(
            f"{options.name} comes with RecBole; leave out --raw, --mirror and the --official options."
        )
    arguments.show(catalog.prepare(options.name, options.data_path, force=options.force, **more))
