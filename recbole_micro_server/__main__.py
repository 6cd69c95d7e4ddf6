"""`python -m recbole_micro_server DIR`: serve an exported folder; needs neither PyTorch nor RecBole."""

import argparse
import os
import socket
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dataset_tools.errors import DataError
from recbole_micro_server.arguments import Parser

if TYPE_CHECKING:
    from recbole_micro_server.model import ExportedModel

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
    found.add_argument(
        "--mcp", nargs="?", const="stdio", choices=["stdio", "http"], metavar="stdio|http",
        help="tools for an assistant (Model Context Protocol) in place of the page: over standard input and "
        "output, which is the default, or over HTTP at /mcp",
    )  # fmt: skip
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
        extra = "mcp" if arguments.mcp else "serve"
        print(f'error: serve needs {error.name}: pip install "recbole_micro[{extra}]".', file=sys.stderr)
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
    """Load the models, take the port, answer; DataError for two models where there are tools for one."""
    from recbole_micro_server.model import ExportedModel

    if arguments.mcp and arguments.beside:
        raise DataError("--mcp has the tools of one model: leave out --beside.")
    model = ExportedModel(arguments.folder)
    if arguments.mcp == "stdio":
        from recbole_micro_server.tools import make_tools

        make_tools(model).run("stdio")  # nothing else may be written to standard output
    elif arguments.mcp:
        from recbole_micro_server.tools import make_tools

        over_http(make_tools(model).streamable_http_app(host=arguments.host), model, arguments, "mcp")
    else:
        from recbole_micro_server.app import make_app

        beside = ExportedModel(arguments.beside) if arguments.beside else None
        over_http(make_app(model, beside), model, arguments)


def over_http(app: Any, model: "ExportedModel", arguments: argparse.Namespace, path: str = "") -> None:
    """Take the port, say where it is, answer until interrupted."""
    import uvicorn

    try:
        family = socket.AF_INET6 if ":" in arguments.host else socket.AF_INET
        listener = listen(arguments.host, arguments.port, family)
    except OSError as error:
        where, why = f"{arguments.host}, port {arguments.port}", os.strerror(error.errno or 0)
        raise DataError(f"Nobody can listen at {where} ({why}): choose another --port or --host.") from None
    where = f"[{arguments.host}]" if family == socket.AF_INET6 else arguments.host
    address = f"http://{where}:{listener.getsockname()[1]}/"
    print(
        f"{model.manifest['model']} on {model.manifest['dataset']} at {address}{path}  (Ctrl+C ends it)",
        flush=True,
    )
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    sys.exit(main())
