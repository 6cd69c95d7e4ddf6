"""`python -m recbole_micro_server DIR`: serve an exported folder; needs neither PyTorch nor RecBole."""

import argparse
import os
import socket
import sys
from collections.abc import Sequence

from dataset_tools.errors import DataError
from recbole_micro_server.arguments import Parser

HOST, PORT = "127.0.0.1", 8000
# One thread of the numerical library per process: an answer is one small product, and threads only wait.
SINGLE = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def parser(prog: str | None = None) -> Parser:
    """The arguments of `serve`."""
    found = Parser(
        prog=prog,
        description="Serve an exported model over HTTP, with a page at / and documentation at /docs.",
        epilog="Example: recbole-micro serve exported/micro --port 8000 --beside exported/lightgcn",
    )
    found.add_argument("folder", metavar="DIR", help="what recbole-micro export --to=DIR wrote")
    found.add_argument("--port", type=port, default=PORT, metavar="N", help=f"default: {PORT}; 0: a free one")
    found.add_argument(
        "--host", default=HOST, help=f"the address to listen at (default: {HOST}, this machine only)"
    )
    found.add_argument("--beside", metavar="DIR", help="a second exported model, shown beside the first")
    return found


def port(text: str) -> int:
    """A port's number."""
    number = int(text)
    if not 0 <= number < 65536:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 65535")
    return number


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until interrupted; the exit code."""
    for variable in SINGLE:
        os.environ.setdefault(variable, "1")
    arguments = parser("recbole-micro serve").parse_args(argv)
    try:
        serve(arguments)
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        print(f'error: serve needs {error.name}: pip install "recbole_micro[serve]".', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def listen(host: str, port: int, family: socket.AddressFamily) -> socket.socket:
    """A socket that listens there; OSError where the port is taken.

    `socket.create_server` leaves the protocol open, and asyncio then keeps Nagle's algorithm: with it every
    answer of two packets waits 40 ms for the client's delayed acknowledgement.
    """
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere the option lets two programs share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except BaseException:
        listener.close()
        raise
    return listener


def serve(arguments: argparse.Namespace) -> None:
    """Load the models, take the port, answer."""
    import uvicorn

    from recbole_micro_server.app import make_app
    from recbole_micro_server.model import ExportedModel

    model = ExportedModel(arguments.folder)
    beside = ExportedModel(arguments.beside) if arguments.beside else None
    try:
        family = socket.AF_INET6 if ":" in arguments.host else socket.AF_INET
        listener = listen(arguments.host, arguments.port, family)
    except OSError as error:
        where, why = f"{arguments.host}, port {arguments.port}", os.strerror(error.errno or 0)
        raise DataError(f"Nobody can listen at {where} ({why}): choose another --port or --host.") from None
    where = f"[{arguments.host}]" if family == socket.AF_INET6 else arguments.host
    address = f"http://{where}:{listener.getsockname()[1]}/"
    print(
        f"{model.manifest['model']} on {model.manifest['dataset']} at {address}  (Ctrl+C ends it)", flush=True
    )
    config = uvicorn.Config(
        make_app(model, beside), log_level="warning", access_log=False, server_header=False
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    sys.exit(main())
