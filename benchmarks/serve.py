"""How fast does the server answer, and how many requests a second does it stand?

    python benchmarks/serve.py [--checkpoint FILE | --folder DIR] [--clients 8] [--rate 200] [--seconds 10]

Prints, for each kind of question, the CPU time of the answer alone, the median and the 99th percentile of the
latency at a steady rate of requests (measured from when a request was due, so that a late server is not
spared), then the requests a second when every client asks again as soon as it is answered; and requests that
were lost.

Reads nothing: without a checkpoint or an exported folder it serves random vectors in Baby's numbers (19,445
users, 7,050 items, 64 columns, 160,792 interactions, two modalities of ten neighbours).  Server and clients
are two processes on the same machine.  Takes two minutes.
"""

import asyncio
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
from support import ROOT, parser

USERS, ITEMS, WIDTH, INTERACTIONS = 19_445, 7_050, 64, 160_792
QUESTIONS = {
    "recommend": "/recommend?user={user}&k=20",
    "similar": "/similar?item={item}&k=10",
    "explain": "/explain?user={user}&item={item}&limit=50",
}


def random_folder(folder: Path) -> Path:
    """An exported folder of random vectors, neighbours and reasons."""
    import torch

    from recbole_micro.inference.export.folder import write_json, write_vectors
    from recbole_micro.inference.export.formats import Vectors
    from recbole_micro.inference.export.reasons import write_reasons
    from recbole_micro.inference.export.walk import write_walk
    from recbole_micro.models.score_parts import LinearParts, View
    from recbole_micro.nn.graph import histories, normalize
    from recbole_micro.nn.knn import knn
    from recbole_micro.nn.walk import COLLABORATIVE, Walk, co_interacted
    from recbole_micro_server import layout

    folder.mkdir()
    draw = np.random.default_rng(0)
    user, item = (draw.standard_normal((n, WIDTH), dtype=np.float32) for n in (USERS, ITEMS))
    users, items = ([f"{letter}{n}" for n in range(size)] for letter, size in (("u", USERS), ("i", ITEMS)))
    write_vectors(Vectors(users, items, user, item), folder)
    write_json(folder / layout.ITEMS, {"id": items, "title": [f"Title of {name}" for name in items]})
    counts = np.bincount(draw.integers(USERS, size=INTERACTIONS), minlength=USERS)
    np.save(folder / layout.SEEN_STARTS, np.concatenate([[0], np.cumsum(counts)]))
    np.save(folder / layout.SEEN_ITEMS, draw.integers(ITEMS, size=INTERACTIONS).astype(np.int32))
    (folder / layout.NEIGHBOURS).mkdir()
    items_file, cosines_file = layout.neighbour_files("trained")
    np.save(folder / items_file, draw.integers(ITEMS, size=(ITEMS, 20)).astype(np.int32))
    np.save(folder / cosines_file, np.ones((ITEMS, 20), np.float32))
    padded = torch.cat([torch.zeros(1, WIDTH), torch.from_numpy(item)])  # as RecBole numbers items
    weight = torch.full((ITEMS + 1,), 0.5)
    graphs = {m: normalize(knn(torch.randn(ITEMS + 1, 32), 10), "symmetric") for m in ("visual", "textual")}
    views = {m: View(padded, weight, graph, 2) for m, graph in graphs.items()}
    people = torch.cat([torch.zeros(1, WIDTH), torch.from_numpy(user)])
    whose, has = (torch.from_numpy(draw.integers(1, n + 1, INTERACTIONS)) for n in (USERS, ITEMS))
    own = histories(whose, has, USERS + 1, ITEMS + 1)
    walk = Walk(own, {COLLABORATIVE: co_interacted(own, 20), **graphs}, 0.8)
    write_reasons(LinearParts(people, padded, views, dict.fromkeys(views, weight)), folder / layout.REASONS)
    manifest = {"format": layout.FORMAT, "model": "random", "dataset": "random", "users": USERS}
    manifest |= {
        "walk": write_walk(walk, folder),
        "items": ITEMS,
        "modalities": list(views),
        "neighbours": ["trained"],
        "why": "",
    }
    write_json(folder / layout.MANIFEST, manifest | {"versions": {"recbole_micro": "-"}})
    return folder


class Client:
    """One connection, which is kept."""

    def __init__(self, port: int, targets: list[str]):
        self.port, self.targets, self.lost = port, targets, 0
        self.latencies: list[float] = []

    async def ask(self, target: str, due: float) -> None:
        """One request; its latency since it was due."""
        self.writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        body = await self.reader.readexactly(int(length[1]) if length else 0)
        self.latencies.append(time.perf_counter() - due)
        self.lost += not head.startswith(b"HTTP/1.1 200") or not body

    async def run(self, seconds: float, pause: float) -> None:
        """Ask for so long, every `pause` seconds, or without any as soon as the last one is answered."""
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        begin = due = time.perf_counter() + pause * random.random()  # nosec B311 # which is asked when
        while due < begin + seconds:
            await asyncio.sleep(max(0, due - time.perf_counter()))
            await self.ask(random.choice(self.targets), due)  # nosec B311 # which is asked
            due = due + pause if pause else time.perf_counter()
        self.writer.close()


async def load(port: int, targets: list[str], clients: int, seconds: float, rate: float) -> dict[str, float]:
    """Latencies in milliseconds, requests a second and lost requests of these clients together."""
    asking = [Client(port, targets) for _ in range(clients)]
    begin = time.perf_counter()
    await asyncio.gather(*(one.run(seconds, clients / rate if rate else 0) for one in asking))
    spent = time.perf_counter() - begin
    times = np.array([latency for one in asking for latency in one.latencies]) * 1000
    half, most = np.percentile(times, [50, 99])
    lost = sum(one.lost for one in asking)
    return {"p50": half, "p99": most, "rate": len(times) / spent, "lost": lost, "asked": len(times)}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--checkpoint", type=Path, metavar="FILE", help="export and serve this one")
    arguments.add_argument(
        "--data-path", default="dataset", metavar="DIR", help="of the checkpoint's data set"
    )
    arguments.add_argument("--folder", type=Path, metavar="DIR", help="serve this exported folder")
    arguments.add_argument("--clients", type=int, default=8)
    arguments.add_argument("--rate", type=float, default=200, metavar="N", help="requests a second, of all")
    arguments.add_argument("--seconds", type=float, default=10, help="of each measurement")
    given = arguments.parse_args()
    random.seed(0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch) / "export"
        if given.checkpoint:
            from recbole_micro.inference.export.folder import export

            export(given.checkpoint, folder, data_path=given.data_path)
        elif not given.folder:
            random_folder(folder)
        command = [sys.executable, "-m", "recbole_micro_server", str(folder.absolute()), "--port", "0"]
        with subprocess.Popen(  # nosec B603 # this Python and a module of ours, without a shell
            command, cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as server:
            try:
                said = server.stdout.readline()
                measure(int(re.search(r":(\d+)/", said)[1]), psutil.Process(server.pid), folder, given)
            finally:
                server.terminate()


def alone(folder: Path) -> dict[str, float]:
    """The CPU milliseconds of each kind of answer in this process, the mean of 2,000 after 500 others."""
    from recbole_micro_server.model import ExportedModel

    model = ExportedModel(folder)
    kinds: dict[str, Callable[[str, str], object]] = {
        "recommend": lambda user, item: model.recommend(user, 20),
        "similar": lambda user, item: model.similar(item, 10),
        "explain": lambda user, item: model.explain(user, item, 50) if model.reasons else None,
    }
    asked = [random.choices(ids, k=2500) for ids in (model.users, model.items)]  # nosec B311 # which are asked
    found = {}
    for kind, answer in kinds.items():
        pairs = list(zip(*asked, strict=True))
        for user, item in pairs[:500]:
            answer(user, item)
        begin = time.process_time()
        for user, item in pairs[500:]:
            answer(user, item)
        found[kind] = (time.process_time() - begin) / 2
    return found


def measure(port: int, server: psutil.Process, folder: Path, given) -> None:
    """Print two lines per kind of question."""
    users = json.loads((folder / "users.json").read_text(encoding="utf-8"))
    items = json.loads((folder / "items.json").read_text(encoding="utf-8"))["id"]
    print(f"{len(users):,} users, {len(items):,} items; {given.clients} clients")
    for kind, milliseconds in alone(folder).items():
        print(f"{kind:<10} alone    {milliseconds:.2f} ms of CPU, without HTTP and JSON")
    for kind, form in QUESTIONS.items():
        asked = (random.choices(ids, k=2000) for ids in (users, items))  # nosec B311 # which are asked for
        pairs = zip(*asked, strict=True)
        targets = [form.format(user=user, item=item) for user, item in pairs]
        asyncio.run(load(port, targets, given.clients, 1, 0))  # what is made once
        for name, rate in (("steady", given.rate), ("at once", 0)):
            before = sum(server.cpu_times()[:2])
            found = asyncio.run(load(port, targets, given.clients, given.seconds, rate))
            spent = (sum(server.cpu_times()[:2]) - before) / found["asked"] * 1000
            print(
                f"{kind:<10} {name:<8} {found['rate']:>5.0f} requests/s   p50 {found['p50']:>6.1f} ms   "
                f"p99 {found['p99']:>6.1f} ms   {spent:.2f} ms of the server's CPU each   "
                f"{found['lost']} of {found['asked']:,} lost",
                flush=True,
            )
    print(f"The server holds {server.memory_info().rss / 2**20:.0f} MiB.")


if __name__ == "__main__":
    main()
