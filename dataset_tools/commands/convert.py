"""convert LAYOUT: every layout of the registry, with the options that its converter declares."""

from dataset_tools.commands import arguments
from dataset_tools.commands.arguments import Commands, Options
from dataset_tools.converters import registry
from dataset_tools.converters.declaration import add_arguments, given


def add(commands: Commands) -> None:
    command = arguments.add(
        commands,
        "convert",
        "turn files in a published layout into a data set",
        "micro --from path/to/baby --name baby",
    )
    layouts = command.add_subparsers(required=True, metavar="layout")
    for name in registry.LAYOUTS:
        converter = registry.find(name)
        layout = arguments.add(layouts, name, converter.what)
        add_arguments(layout, converter.options)
        arguments.named(layout)
        arguments.target(layout)
        layout.set_defaults(run=run, converter=converter)


def run(options: Options) -> None:
    converter = options.converter
    values = converter.options(**given(converter.options, options))
    arguments.show(converter.run(values, options.name, options.data_path, options.force))
