"""inspect NAME"""

from dataset_tools.commands import arguments
from dataset_tools.commands.arguments import Commands, Options
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from dataset_tools.inspection import dataset_plots, dataset_report, page


def add(commands: Commands) -> None:
    command = arguments.add(
        commands,
        "inspect",
        "statistics, coverage, nearest neighbours, Tables 1 and 2 of the MICRO paper",
        "ml-100k --out ml-100k.html",
    )
    command.add_argument("name", help="the data set")
    command.add_argument(
        "--plot", metavar="FILE", help="also draw degrees and coverage, to .png, .svg or .pdf"
    )
    command.add_argument("--out", metavar="FILE", help="write it as a page, one .html file, instead")
    command.add_argument("--images", metavar="DIR", help="with --out: folder of the items' pictures")
    arguments.data_path(command)
    command.set_defaults(run=run)


def run(options: Options) -> None:
    dataset = Dataset(options.name, options.data_path)
    if options.images and not options.out:
        raise DataError("--images is for the page that --out names.")
    if options.plot:
        dataset_plots.check(options.plot)
    if options.out:
        print(page.write(dataset, options.out, options.images))
    else:
        for line in dataset_report.report(dataset):
            print(line, flush=True)
    if options.plot:
        print(dataset_plots.save_plot(dataset, options.plot))
