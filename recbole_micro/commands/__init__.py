"""The subcommands of `recbole-micro`: their arguments, their help, what they print and write."""
