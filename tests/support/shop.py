"""A small data set whose items have titles, genres, years and pictures, and models trained on it."""

import struct
import zlib

from tests.support.tiny import QUICK, write_tiny

ITEMS = 16
GENRES = ("Drama", "Comedy", "Science-Fiction")
EVIL = '<script>alert("x")</script>'  # the title of item i7


def write_shop(folder):
    """The tiny data set as `shop`, its `.item` file with columns; returns `folder`.

    Item i has the title `Item i`, but i7 a script and i8 none; the genres `GENRES[i % 3]` and, of even items,
    `Short`; the picture of even items is a file, of odd ones missing.
    """
    write_tiny(folder, "shop")
    rows = []
    for i in range(ITEMS):
        title = {7: EVIL, 8: ""}.get(i, f"Item {i}")
        genres = GENRES[i % 3] + ("" if i % 2 else " Short")
        rows.append(
            f"i{i}\t" + '"' + title.replace('"', '""') + '"' + f"\t{genres}\t{1990 + i}\tpictures/{i}.png"
        )
        if not i % 2:
            picture = folder / "shop" / "pictures" / f"{i}.png"
            picture.parent.mkdir(exist_ok=True)
            picture.write_bytes(png(40 * i % 256))
    header = "item_id:token\ttitle:token_seq\tgenre:token_seq\tyear:token\timage:token"
    (folder / "shop" / "shop.item").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return folder


def png(shade: int) -> bytes:
    """A picture of one grey pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes([0, shade]))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def options(folder, **more):
    """Of a quick training on it."""
    return {**QUICK, "data_path": str(folder), "checkpoint_dir": str(folder / "saved"), **more}
