"""`inspect --out page.html`: the report as one page with nothing outside it."""

import html
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from dataset_tools.dataset import alignment, provenance, summary
from dataset_tools.dataset.catalog import KNOWN
from dataset_tools.dataset.interactions import PARTS
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from dataset_tools.features.feature_similarity import SIMILAR_K
from dataset_tools.files import write_text
from dataset_tools.inspection import drawings
from dataset_tools.inspection.dataset_report import repeated
from dataset_tools.inspection.measures import Measures, ModalityMeasures, most_used
from dataset_tools.inspection.pictures import Pictures

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
SHOWN_ITEMS = 12
SHOWN_NEIGHBOURS = 3
STYLE = """
:root { color-scheme: light dark; --text: #1c1c1e; --soft: #55555c; --ground: #f4f4f6; --paper: #fff;
  --line: #d9d9de; --one: #0f766e; --two: #b45309; --warn: #fdf0d5; --edge: #b45309; }
@media (prefers-color-scheme: dark) { :root { --text: #f0f0f2; --soft: #b0b0b8; --ground: #131316;
  --paper: #1e1e22; --line: #3a3a41; --one: #2dd4bf; --two: #fbbf24; --warn: #3a2c10; --edge: #fbbf24; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 1rem; background: var(--ground); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
main, header { max-width: 72rem; margin: 0 auto; }
section, .warning { background: var(--paper); border: 1px solid var(--line); border-radius: .75rem;
  padding: 1rem 1.25rem; margin: 1rem 0; }
.warning { background: var(--warn); border-color: var(--edge); }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 0 0 .6rem; } h3 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
p { margin: .35rem 0; } .soft { color: var(--soft); font-size: .9rem; overflow-wrap: anywhere; }
dl.counts { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .75rem;
  margin: 0; }
dl.counts div { border-left: 3px solid var(--one); padding-left: .6rem; }
dt { color: var(--soft); font-size: .9rem; }
dd { margin: 0; font-size: 1.3rem; font-variant-numeric: tabular-nums; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr)); gap: 1rem; }
figure { margin: 0; } figcaption { color: var(--soft); font-size: .9rem; }
svg { width: 100%; height: auto; display: block; max-width: 34rem; }
svg text { font: 11px system-ui, sans-serif; fill: var(--soft); }
svg .tick { stroke: var(--line); stroke-width: 1; } svg polyline { fill: none; stroke-width: 2; }
.line0 { stroke: var(--one); } .line1 { stroke: var(--two); } .fill { fill: var(--one); }
svg text.of0 { fill: var(--one); } svg text.of1 { fill: var(--two); }
.scroll { overflow-x: auto; } .scroll:focus-visible { outline: 2px solid var(--one); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; min-width: 100%; }
th, td { text-align: right; padding: .3rem .6rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } th { font-weight: 600; }
.bar { display: block; height: .7rem; min-width: 7rem; background: var(--line); border-radius: .35rem;
  overflow: hidden; } .bar i { display: block; height: 100%; background: var(--one); }
.items { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: 1rem;
  list-style: none; margin: 0; padding: 0; }
.items > li { border: 1px solid var(--line); border-radius: .6rem; padding: .75rem; min-width: 0; }
.head { display: flex; gap: .75rem; align-items: center; } .head > div { min-width: 0; }
.picture { flex: none; width: 2.5rem; height: 2.5rem; object-fit: cover; border-radius: .35rem;
  background: var(--line); } .head .picture { width: 5rem; height: 5rem; }
h4 { font-size: .85rem; color: var(--soft); margin: .7rem 0 .2rem; overflow-wrap: anywhere; }
.near { list-style: none; margin: 0; padding: 0; }
.near li { display: grid; grid-template-columns: auto 1fr auto; gap: .5rem; align-items: center;
  padding: .15rem 0; font-size: .9rem; }
.near li.bare { grid-template-columns: 1fr auto; }
.name { overflow-wrap: anywhere; min-width: 0; } .value { font-variant-numeric: tabular-nums; }
@media (max-width: 30rem) { body { padding: .5rem; } section, .warning { padding: .8rem; margin: .6rem 0; }
  table { font-size: .85rem; } th, td { padding: .3rem .25rem; white-space: normal; }
  .bar { min-width: 1rem; } th:first-child, td:first-child { overflow-wrap: anywhere; min-width: 4.8rem; } }
"""


def check(path: str | Path) -> None:
    """Refuse a page's name that `write` could not write, before anything is computed."""
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise DataError(f"{path} is no page; end its name in .html.")
    if not path.parent.is_dir():
        raise DataError(f"There is no folder {path.parent} for the page.")


def write(dataset: Dataset, path: str | Path, images: str | Path | None = None) -> Path:
    """The page of a data set; its path.  `images`: the folder of the items' pictures."""
    check(path)
    pictures = Pictures(dataset, images)
    measures = Measures(dataset)
    found = [measures.modality(name) for name in dataset.modalities]
    write_text(path, page(measures, found, pictures))
    return Path(path)


def page(measures: Measures, found: Sequence[ModalityMeasures], pictures: Pictures) -> str:
    """The page as a text of HTML."""
    dataset = measures.dataset
    name = html.escape(dataset.name)
    counts = summary.of_dataset(dataset)
    verdict = summary.compare(counts, KNOWN.get(dataset.name))
    warnings = [alignment.warning(one.name) for one in found if one.suspicious]
    parts = [
        f"<header><h1>{name}</h1>{_made(dataset)}</header><main>",
        *(f'<p class="warning" role="alert">{html.escape(line)}</p>' for line in warnings),
        _counts(measures, verdict),
        _distributions(measures),
        _coverage(measures, found),
        _tables(measures, [one for one in found if len(one.there) > 1]),
        _items(measures, found, pictures),
        "</main>",
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}</title><style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _made(dataset: Dataset) -> str:
    steps = provenance.read_steps(dataset.folder, dataset.name)
    if not steps:
        return ""
    return f'<p class="soft">Made by {html.escape(", ".join(step["command"] for step in steps))}</p>'


def _counts(measures: Measures, verdict: Iterable[str]) -> str:
    found, dataset = measures.interactions, measures.dataset
    users, items = len(found.users), len(dataset.items)
    degree = measures.degrees
    tiles = {
        "users": f"{users:,}",
        "items": f"{items:,}",
        "interactions": f"{len(found):,}",
        "density": f"{len(found) / (users * items):.4%}",
        "median per user": f"{np.median(degree['user']):g}",
        "median per item": f"{np.median(degree['item']):g}",
    }
    lines = [f"{int((degree['item'] == 0).sum()):,} items without any interaction."]
    if found.part is not None:
        sizes = np.bincount(found.part, minlength=len(PARTS))
        split = ", ".join(f"{part} {size:,}" for part, size in zip(PARTS, sizes, strict=True))
        lines.append(f"Fixed split: {split}.")
    if measures.repeated_pairs:
        lines.append(f"{measures.repeated_pairs:,} interactions repeat a pair of user and item.")
    titles = [title for title in dataset.titles().values() if title]
    if len(titles) > len(set(titles)):
        lines.append(f"{len(titles) - len(set(titles)):,} items have the title of another one.")
    lines += verdict
    shown = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in tiles.items())
    notes = "".join(f'<p class="soft">{html.escape(line)}</p>' for line in lines)
    return f'<section><h2>What there is</h2><dl class="counts">{shown}</dl>{notes}</section>'


def _distributions(measures: Measures) -> str:
    over_time = drawings.times(measures.interactions.timestamp)
    figures = [f"<figure>{drawings.degrees(measures.degrees)}</figure>"]
    figures.append(
        f"<figure>{over_time}</figure>"
        if over_time
        else '<p class="soft">The interactions have no times.</p>'
    )
    return f'<section><h2>Distributions</h2><div class="figures">{"".join(figures)}</div></section>'


def _coverage(measures: Measures, found: Sequence[ModalityMeasures]) -> str:
    if not found:
        return "<section><h2>Features</h2><p>There is no modality.</p></section>"
    items, rows, notes = len(measures.dataset.items), [], []
    for one in found:
        share = len(one.there) / items
        bar = f'<span class="bar" aria-hidden="true"><i style="width:{100 * share:.1f}%"></i></span>'
        rows.append(
            [
                html.escape(one.name),
                f"{one.width:,}",
                f"{len(one.there):,}",
                f"{share:.1%}",
                bar,
                f"{one.zeros:,}",
            ]
        )
        if one.repeated:
            notes.append(f"{one.name}: {repeated(measures.dataset, one)}.")
    table = _table(["modality", "columns", "items", "covered", "", "rows of zeros"], rows)
    lines = "".join(f'<p class="soft">{html.escape(note)}</p>' for note in notes)
    return f"<section><h2>Features</h2>{table}{lines}</section>"


def _tables(measures: Measures, found: Sequence[ModalityMeasures]) -> str:
    """Tables 1 and 2 of the paper, and the modalities against each other."""
    if not found:
        return ""
    names = [html.escape(one.name) for one in found]
    first = [
        [name, f"{one.everything:.4f}", f"{one.together:.4f}"] for name, one in zip(names, found, strict=True)
    ]
    second = [
        [name, *(f"{one.shares[k]:.2%}" for k in SIMILAR_K)] for name, one in zip(names, found, strict=True)
    ]
    third = [
        [name, f"{one.real:.2%}", f"{one.shuffled:.2%}", *([f"{one.shared_real:.2%}"] * measures.comparable)]
        for name, one in zip(names, found, strict=True)
    ]
    same = f"on the {int(measures.shared.sum()):,} items that all have"
    parts = [
        ("Mean cosine (Table 1 of the MICRO paper)", ["modality", "all pairs", "co-interacted pairs"], first),
        ("Users with a similar pair (Table 2)", ["modality", *(f"k = {k}" for k in SIMILAR_K)], second),
        (
            "Neighbours that are co-interacted",
            ["modality", "as they are", "shuffled items", *([same] * measures.comparable)],
            third,
        ),
    ]
    shown = "".join(
        f"<section><h2>{title}</h2>{_table(header, rows)}</section>" for title, header, rows in parts
    )
    return shown


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells are HTML."""
    head = "".join(f'<th scope="col">{cell}</th>' for cell in header)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll" tabindex="0">{table}</div>'


def _items(measures: Measures, found: Sequence[ModalityMeasures], pictures: Pictures) -> str:
    """The most used items, each with its nearest neighbours in every modality."""
    dataset, titles = measures.dataset, measures.dataset.titles()
    use = np.asarray(measures.matrix.sum(axis=0)).ravel()
    cards = []
    for place in most_used(measures.matrix, SHOWN_ITEMS).tolist():
        token = dataset.items[place]
        name = html.escape(titles.get(token, "") or token)
        near = "".join(_near(dataset, one, place, titles, pictures) for one in found)
        cards.append(
            f'<li><div class="head">{pictures.of(place)}<div><h3>{name}</h3>'
            f'<p class="soft">{html.escape(token)} · {use[place]:,} users</p></div></div>{near}</li>'
        )
    grid = f'<ul class="items">{"".join(cards)}</ul>'
    return f"<section><h2>The most used items and their neighbours</h2>{grid}</section>"


def _near(
    dataset: Dataset, one: ModalityMeasures, place: int, titles: dict[str, str], pictures: Pictures
) -> str:
    """An item's neighbours in a modality."""
    row = int(np.searchsorted(one.there, place))
    if len(one.there) < 2 or row == len(one.there) or one.there[row] != place:
        return f'<h4>{html.escape(one.name)}</h4><p class="soft">lacks it</p>'
    lines = []
    for near, value in zip(one.index[row, :SHOWN_NEIGHBOURS], one.cosine[row], strict=False):
        other = int(one.there[near])
        token = dataset.items[other]
        picture = pictures.of(other)
        bare = "" if picture else ' class="bare"'
        name = html.escape(titles.get(token, "") or token)
        lines.append(
            f'<li{bare}>{picture}<span class="name">{name}</span><span class="value">{value:.2f}</span></li>'
        )
    return f'<h4>{html.escape(one.name)}</h4><ul class="near">{"".join(lines)}</ul>'
