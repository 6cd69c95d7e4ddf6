"""encode --name NAME --text ENCODER | --image, --video or --audio ENCODER with the folder of the files"""

from pathlib import Path

from dataset_tools.commands import arguments
from dataset_tools.commands.arguments import Commands, Options
from dataset_tools.converters.shared_options import commas
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from dataset_tools.features.encoders import registry
from dataset_tools.operations.encode import addresses, encoding


def add(commands: Commands) -> None:
    command = arguments.add(
        commands,
        "encode",
        "make features of texts, images, videos or sounds",
        "--name ml-100k --text tfidf --columns title --modality words",
    )
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument("--text", metavar="ENCODER", help=", ".join(registry.TEXT))
    what.add_argument("--image", metavar="ENCODER", help=", ".join(registry.IMAGE))
    what.add_argument(
        "--video", metavar="ENCODER", help="an image encoder, whose vectors of frames are averaged"
    )
    what.add_argument("--audio", metavar="ENCODER", help=", ".join(registry.AUDIO))
    command.add_argument(
        "--columns", type=commas, metavar="C,C", help="columns of NAME.item that make the text"
    )
    command.add_argument(
        "--images", metavar="DIR", help="folder of images: <item id>.jpg, or as NAME.item says"
    )
    command.add_argument(
        "--download", action="store_true", help="first fetch the addresses in NAME.item into --images"
    )
    command.add_argument("--videos", metavar="DIR", help="folder of videos: <item id>.mp4, .webm, ...")
    command.add_argument(
        "--frames", type=int, default=8, metavar="N", help="frames of a video (default: %(default)s)"
    )
    command.add_argument("--sounds", metavar="DIR", help="folder of sounds: <item id>.mp3, .wav, ...")
    command.add_argument(
        "--modality", help="name of the features (default: textual, visual, video or acoustic)"
    )
    arguments.named(command)
    arguments.target(command)
    arguments.half(command)
    command.set_defaults(run=run)


def run(options: Options) -> None:
    if options.download and not options.image:
        raise DataError("--download is for --image, whose addresses it fetches.")
    dataset = Dataset(options.name, options.data_path)
    more = {"half": options.half, "force": options.force}
    if options.modality:
        more["modality"] = options.modality
    kind = next((kind for kind in encoding.KINDS if getattr(options, kind)), None)
    if kind is None:
        missing = encoding.encode_texts(dataset, options.text, columns=options.columns, **more)
    else:
        flag = encoding.KINDS[kind].flag
        folder = getattr(options, flag)
        if not folder:
            raise DataError(f"--{kind} needs --{flag}, the folder of the {kind} files.")
        if options.download:
            came, there, failed = addresses.fetch_images(dataset, folder)
            print(f"  {came:,} images fetched, {there:,} were there, {failed:,} failed")
            if failed:
                print(f"  which failed, and why: {Path(folder) / addresses.FAILED}")
        spec = getattr(options, kind)
        missing = encoding.encode_media(dataset, kind, spec, folder, frames=options.frames, **more)
    arguments.show(dataset.folder)
    if missing:
        print(f"  {len(missing):,} items without features, first {', '.join(missing[:5])}")
