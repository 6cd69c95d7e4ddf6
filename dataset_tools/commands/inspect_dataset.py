"""inspect NAME"""

from dataset_tools.commands import arguments
from dataset_tools.commands.arguments import Commands, Options
from dataset_tools.dataset.reading import Dataset
from dataset_tools.inspection import dataset_plots, dataset_report


def add(commands: Commands) -> None:
    command = arguments.add(
        commands, "inspect", "statistics, coverage, nearest neighbours, Tables 1 and 2 of the MICRO paper"
    )
    command.add_argument("name", help="the data set")
    command.add_argument(
        "--plot", metavar="FILE", help="also draw degrees and coverage, to .png, .svg or .pdf"
    )
    arguments.data_path(command)
    command.set_defaults(run=run)


def run(options: Options) -> None:
    dataset = Dataset(options.name, options.data_path)
    if options.plot:
        dataset_plots.check(options.plot)
    for line in dataset_report.report(dataset):
        print(line, flush=True)
    if options.plot:
        print(dataset_plots.save_plot(dataset, options.plot))
