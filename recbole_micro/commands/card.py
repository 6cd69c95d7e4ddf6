"""The card of an explanation: one HTML page without anything outside it."""

import base64
import html
from collections.abc import Mapping
from pathlib import Path

from recbole.data.dataset import Dataset

from recbole_micro.inference.explain import Explanation, Neighbour
from recbole_micro.inference.item_columns import ItemColumns

LARGEST = 4 << 20  # bytes of a picture that a card takes in
KINDS = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif", b"RIFF": "webp"}  # by first bytes
STYLE = """
:root { color-scheme: light dark; --text: #1c1c1e; --soft: #5a5a60; --ground: #f4f4f6; --paper: #fff;
  --line: #d9d9de; --plus: #0f766e; --minus: #b45309; --own: #0f766e1a; }
@media (prefers-color-scheme: dark) { :root { --text: #f0f0f2; --soft: #a9a9b2; --ground: #131316;
  --paper: #1e1e22; --line: #3a3a41; --plus: #2dd4bf; --minus: #fbbf24; --own: #2dd4bf1f; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 1rem; background: var(--ground); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 52rem; margin: 0 auto; background: var(--paper); border: 1px solid var(--line);
  border-radius: .75rem; padding: 1.25rem; }
header { display: flex; gap: 1rem; align-items: center; }
h1 { font-size: 1.35rem; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 1.5rem 0 .5rem; }
p { margin: .25rem 0; } .soft { color: var(--soft); font-size: .9rem; }
.picture { flex: none; object-fit: cover; border-radius: .4rem; background: var(--line); }
header .picture { width: 6rem; height: 6rem; } li .picture { width: 3rem; height: 3rem; }
ul { list-style: none; margin: 0; padding: 0; }
.parts li { display: grid; grid-template-columns: minmax(6rem, 11rem) 1fr 4.5rem; gap: .75rem;
  align-items: center; padding: .2rem 0; }
.items li { display: grid; grid-template-columns: auto 1fr 4.5rem; gap: .75rem; align-items: center;
  padding: .45rem .5rem; border-top: 1px solid var(--line); }
.items li.own { background: var(--own); }
.name { overflow-wrap: anywhere; min-width: 0; }
.bar { display: block; height: .7rem; background: var(--line); border-radius: .35rem; overflow: hidden; }
.bar i { display: block; height: 100%; background: var(--plus); } .bar i.minus { background: var(--minus); }
.share { text-align: right; font-variant-numeric: tabular-nums; }
.bare li { grid-template-columns: 1fr 4.5rem; }
@media (max-width: 30rem) { body { padding: .5rem; } main { padding: .9rem; }
  header .picture { width: 4.5rem; height: 4.5rem; }
  .parts li { grid-template-columns: 1fr 4.5rem; } .parts .bar { grid-column: 1 / -1; grid-row: 2; } }
"""


def card(explanation: Explanation, dataset: Dataset, model: str, top: int = 10) -> str:
    """The page; pictures where the `.item` file names them: files are taken in, addresses are linked."""
    pictures = Pictures(dataset)
    title = explanation.title or explanation.item
    asked = f"Item {html.escape(explanation.item)} for user {html.escape(explanation.user)}"
    score = (
        f"{asked}: score {explanation.score:.4f} ({html.escape(model)}, {html.escape(dataset.dataset_name)})"
    )
    parts = [
        f"<header>{pictures.of(explanation.item)}<div><h1>{html.escape(title)}</h1>"
        f'<p class="soft">{score}</p></div></header>'
    ]
    if explanation.note:
        parts.append(f"<p>{html.escape(explanation.note)}</p>")
    else:
        parts += [sums(explanation), own_items(explanation, pictures, top)]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Why {html.escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def sums(explanation: Explanation) -> str:
    """The parts of the score as bars."""
    rows = {"Collaborative: who likes what": explanation.collaborative}
    for modality, share in explanation.through().items():
        weight = explanation.modalities.get(modality)
        attention = "" if weight is None else f", attention {weight:.2f}"
        rows[f"Through {modality}{attention}"] = share
    longest = max(map(abs, rows.values())) or 1.0
    lines = [
        f'<li><span class="name">{html.escape(name)}</span>{bar(value / longest)}'
        f'<span class="share">{value:+.4f}</span></li>'
        for name, value in rows.items()
    ]
    return f'<h2>What the score is made of</h2><ul class="parts">{"".join(lines)}</ul>'


def bar(share: float) -> str:
    """A bar of this length, from -1 to 1."""
    sign = ' class="minus"' if share < 0 else ""
    return f'<span class="bar" aria-hidden="true"><i{sign} style="width:{100 * abs(share):.1f}%"></i></span>'


def own_items(explanation: Explanation, pictures: "Pictures", top: int) -> str:
    """The items that add most, the user's own marked, and what all others add."""
    if not explanation.neighbours:
        return '<p class="soft">No other item is connected with this one: it has no features.</p>'
    parts = []
    for heading, items in explanation.by_choice().items():
        shown, rest = items[:top], items[top:]
        lines = [row(one, pictures) for one in shown]
        if rest:
            total = sum(one.share for one in rest)
            lines.append(
                f'<li>{pictures.no_picture}<span class="name soft">{len(rest)} more</span>'
                f'<span class="share">{total:+.4f}</span></li>'
            )
        kind = "items" if pictures.known else "items bare"
        parts.append(f'<h2>{heading}</h2><ul class="{kind}">{"".join(lines)}</ul>')
    return "".join(parts)


def row(one: Neighbour, pictures: "Pictures") -> str:
    """One item's line."""
    far = {0: "the item itself", 1: "1 step away"}.get(one.hops, f"{one.hops} steps away")
    about = html.escape(f"{one.item} · through {one.modality} · {far}")
    name = html.escape(one.title or one.item)
    mark = ' class="own"' if one.chosen else ""
    return (
        f'<li{mark}>{pictures.of(one.item)}<span class="name">{name}<br><span class="soft">{about}</span>'
        f'</span><span class="share">{one.share:+.4f}</span></li>'
    )


class Pictures:
    """The pictures of a data set's items as HTML."""

    def __init__(self, dataset: Dataset):
        self.folder = Path(dataset.config["data_path"])
        self.known: Mapping[str, str] = ItemColumns(dataset).pictures()
        self.no_picture = "<span></span>" if self.known else ""  # keeps a line's text where the others' is

    def of(self, item: str) -> str:
        """An `img`, or an empty place where the item has no picture; nothing where no item has one."""
        if not self.known:
            return ""
        source = self.source(self.known.get(item, ""))
        if not source:
            return '<span class="picture" aria-hidden="true"></span>'
        return f'<img class="picture" alt="" referrerpolicy="no-referrer" src="{html.escape(source)}">'

    def source(self, name: str) -> str:
        """The address of a picture, or its content; empty where there is no such picture."""
        if name.startswith(("https://", "http://")):
            return name
        for path in (self.folder / name, self.folder / "images" / name):
            try:
                content = path.read_bytes() if path.stat().st_size <= LARGEST else b""
            except (OSError, ValueError):  # no file, or no name that a file can have
                continue
            kind = next((kind for start, kind in KINDS.items() if content.startswith(start)), None)
            if kind:
                return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
        return ""
