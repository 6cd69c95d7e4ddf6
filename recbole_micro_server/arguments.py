"""Command lines whose mistakes are said in one sentence."""

import argparse
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """argparse's parser, without the usage before a mistake."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message[0].upper()}{message[1:]}; {self.prog} --help says more.\n")
