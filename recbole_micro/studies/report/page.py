"""A self-contained page: its style, its policy, and tables and pictures inside it."""

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

STYLE = """
:root {
  color-scheme: light dark;
  --back: #ffffff; --panel: #f5f6f8; --text: #1d2430; --soft: #566070; --line: #d4d9e0; --mark: #0b6e63;
  --shade: #1d243040;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #14181e; --panel: #1d232b; --text: #e7eaef; --soft: #a5afbd; --line: #363f4b; --mark: #5fd0c0;
    --shade: #000000b0;
  }
  figure img { filter: invert(.92) hue-rotate(180deg); }
}
* { box-sizing: border-box; }
body {
  font: 1rem/1.5 system-ui, sans-serif; max-width: 76rem; margin: 0 auto; padding: 1rem;
  background: var(--back); color: var(--text);
}
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; } a { color: var(--mark); }
.note, figcaption, caption { color: var(--soft); font-size: .9rem; }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin: .5rem 0; }
.wide {
  overflow-x: auto; border: 1px solid var(--line); border-radius: .4rem; margin: .5rem 0 1rem;
  background: linear-gradient(to left, var(--back) 40%, transparent) right / 2.5rem 100% no-repeat local,
    linear-gradient(to left, var(--shade), transparent) right / 1rem 100% no-repeat; /* there is more */
}
table { border-collapse: separate; border-spacing: 0; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: .5rem .6rem; }
caption span { display: block; position: sticky; left: .6rem; max-width: calc(min(100vw, 76rem) - 3.5rem); }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 600; } tbody tr:last-child > * { border-bottom: 0; }
th:first-child, td:first-child {
  text-align: left; white-space: normal; overflow-wrap: anywhere; min-width: 7rem; max-width: 22rem;
  position: sticky; left: 0; background: var(--back); border-right: 1px solid var(--line);
}
tbody th, td:first-child { font-weight: 500; }
thead th { border-bottom: 2px solid var(--soft); white-space: normal; vertical-align: bottom; }
.text { text-align: left; white-space: normal; min-width: 9rem; overflow-wrap: anywhere; }
tr.gain > * { color: var(--mark); }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); gap: 1rem; }
figure { margin: 0; } figure img { width: 100%; height: auto; display: block; }
dl { display: grid; grid-template-columns: minmax(6rem, max-content) minmax(0, 1fr); gap: .2rem 1rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 40rem) {
  th, td { padding: .3rem .45rem; } th:first-child, td:first-child { max-width: 38vw; min-width: 6rem; }
  body { padding: .75rem; font-size: .95rem; } dl { grid-template-columns: minmax(0, 1fr); gap: 0; }
  dd { margin-bottom: .4rem; }
}
@media print { .wide { overflow: visible; border: 0; } }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def document(heading: str, body: str) -> str:
    """A whole HTML page, in which no script runs and nothing is fetched, whatever its texts say."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(heading)}</title><style>{STYLE}</style></head><body>{body}</body></html>\n"
    )


def figure(path: Path, text: str) -> str:
    """A picture inside the page."""
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    label = html.escape(text)
    image = f'<img alt="{label}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{label}</figcaption></figure>"


def frame(table: pd.DataFrame, digits: str, caption: str, texts: Sequence[str] = ()) -> str:
    """A table of any content as HTML; `digits` formats its floats, such as `{:.4f}`.

    The first column stays in sight.  `texts`: columns that are sentences, whose lines break.
    """
    kinds = [' class="text"' if name in texts else "" for name in table.columns]
    names = zip(table.columns, kinds, strict=True)
    head = "".join(f"<th{kind}>{html.escape(str(name))}</th>" for name, kind in names)
    rows = []
    for values in table.itertuples(index=False, name=None):
        cells = [cell(value, digits) for value in values]
        shown = "".join(f"<td{kind}>{one}</td>" for kind, one in zip(kinds[1:], cells[1:], strict=True))
        first = cells[0].replace("_", "_<wbr>")  # where the name of an option may break
        rows.append(f"<tr><th>{first}</th>{shown}</tr>")
    return whole_table(caption, head, "".join(rows))


def cell(value: object, digits: str) -> str:
    """A value for people, escaped; empty where there is none."""
    if isinstance(value, float):
        return "" if pd.isna(value) else digits.format(value)
    return "" if value is None or value is pd.NA else html.escape(str(value))


def whole_table(caption: str, head: str, rows: str) -> str:
    """A table of these cells, which scrolls by itself where it is wider than the page.

    It can be focused, so that the keyboard scrolls it as well.
    """
    label = html.escape(caption)
    return (
        f'<div class="wide" tabindex="0" role="group" aria-label="{label}"><table>'
        f"<caption><span>{label}</span></caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def listing(entries: Mapping[str, str]) -> str:
    """Names and what belongs to them."""
    return (
        "<dl>"
        + "".join(
            f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>" for name, text in entries.items()
        )
        + "</dl>"
    )
