"""split NAME --how HOW"""

from dataset_tools.commands import arguments
from dataset_tools.commands.arguments import Commands, Options
from dataset_tools.dataset.reading import Dataset
from dataset_tools.operations import resplit, splits


def add(commands: Commands) -> None:
    command = arguments.add(commands, "split", "split a data set's interactions anew")
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
    arguments.target(command)
    command.set_defaults(run=run)


def run(options: Options) -> None:
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
    arguments.show(folder)
