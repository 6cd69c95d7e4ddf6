"""encode --name NAME --text ENCODER | --image ENCODER --images DIR"""

from dataset_tools.commands import arguments
from dataset_tools.commands.arguments import Commands, Options
from dataset_tools.converters.shared_options import commas
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from dataset_tools.features.encoders import registry
from dataset_tools.operations import encoding


def add(commands: Commands) -> None:
    command = arguments.add(commands, "encode", "make features of a data set's texts or images")
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument("--text", metavar="ENCODER", help=", ".join(registry.TEXT))
    what.add_argument("--image", metavar="ENCODER", help=", ".join(registry.IMAGE))
    command.add_argument(
        "--columns", type=commas, metavar="C,C", help="columns of NAME.item that make the text"
    )
    command.add_argument(
        "--images", metavar="DIR", help="folder of images: <item id>.jpg, or as NAME.item says"
    )
    command.add_argument("--modality", help="name of the features (default: textual or visual)")
    arguments.named(command)
    arguments.target(command)
    arguments.half(command)
    command.set_defaults(run=run)


def run(options: Options) -> None:
    dataset = Dataset(options.name, options.data_path)
    more = {"half": options.half, "force": options.force}
    if options.modality:
        more["modality"] = options.modality
    if options.text:
        missing = encoding.encode_texts(dataset, options.text, columns=options.columns, **more)
    elif options.images:
        missing = encoding.encode_images(dataset, options.image, options.images, **more)
    else:
        raise DataError("--image needs --images, the folder of the image files.")
    arguments.show(dataset.folder)
    if missing:
        print(f"  {len(missing):,} items without features, first {', '.join(missing[:5])}")
