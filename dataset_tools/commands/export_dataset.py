"""export mmrec --name NAME --to DIR"""

from dataset_tools.commands import arguments
from dataset_tools.commands.arguments import Commands, Options
from dataset_tools.converters import mmrec_export
from dataset_tools.dataset.reading import Dataset


def add(commands: Commands) -> None:
    command = arguments.add(
        commands, "export", "write a data set in another layout", "mmrec --name baby --to back/baby"
    )
    layouts = command.add_subparsers(required=True, metavar="layout")
    layout = arguments.add(layouts, "mmrec", "MMRec's layout, for a data set with a fixed split")
    layout.add_argument("--to", required=True, metavar="DIR", help="folder to write")
    arguments.named(layout)
    arguments.target(layout)
    layout.set_defaults(run=run)


def run(options: Options) -> None:
    dataset = Dataset(options.name, options.data_path)
    folder, missing = mmrec_export.export_mmrec(dataset, options.to, options.force)
    print(folder)
    for modality, count in missing.items():
        if count:
            print(f"  {modality}: {count:,} items without features have rows of zeros")
