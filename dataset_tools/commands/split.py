"""split NAME --how HOW, split NAME --missing SHARE"""

from dataset_tools.commands import arguments
from dataset_tools.commands.arguments import Commands, Options
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from dataset_tools.operations.splitting import missing, resplit, splits


def add(commands: Commands) -> None:
    command = arguments.add(
        commands,
        "split",
        "split a data set's interactions anew, or take features away",
        "baby --cold 0.2 --seed 1",
    )
    command.add_argument("name", help="the data set")
    command.add_argument("--how", choices=resplit.HOW, help="(default: paper)")
    command.add_argument(
        "--ratios", nargs=3, type=float, default=(0.8, 0.1, 0.1), metavar="R", help="for ratio, time"
    )
    command.add_argument(
        "--cold", type=float, metavar="SHARE", help="withhold this share of the items, into NAME-cold"
    )
    command.add_argument("--keep-warm", action="store_true", help="with --cold: all else is for training")
    command.add_argument(
        "--missing",
        type=float,
        metavar="SHARE",
        help="leave the interactions; take features of this share of the items away, into NAME-missing",
    )
    command.add_argument(
        "--modality", nargs="+", default=[], metavar="M", help="with --missing: of these (default: of all)"
    )
    command.add_argument("--seed", type=int, default=0, help="of the random choice (default: %(default)s)")
    command.add_argument(
        "--to-name", "--name", dest="to_name", metavar="NAME", help="leave this data set and make another one"
    )
    arguments.target(command)
    command.set_defaults(run=run)


def run(options: Options) -> None:
    if options.missing is not None:
        if options.how or options.cold is not None:
            raise DataError("--missing leaves the interactions as they are: split them in a step of its own.")
        given = {"modalities": options.modality, "seed": options.seed}
        given |= {"name": options.to_name, "force": options.force}
        dataset = Dataset(options.name, options.data_path)
        arguments.show(missing.remove_features(dataset, options.missing, **given))
        return
    if options.modality:
        raise DataError("--modality says of which features --missing takes items away: add --missing SHARE.")
    folder = resplit.split_dataset(
        Dataset(options.name, options.data_path),
        (options.how or "paper") if options.cold is None else "cold",
        ratios=tuple(options.ratios),
        cold_share=splits.WITHHELD if options.cold is None else options.cold,
        keep_warm=options.keep_warm,
        seed=options.seed,
        name=options.to_name or (None if options.cold is None else f"{options.name}-cold"),
        force=options.force,
    )
    arguments.show(folder)
