"""The page: as the service shows it, and as one file with the answers for a handful of users inside."""

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from recbole_micro_server import layout
from recbole_micro_server.model import ExportedModel

STATIC = Path(__file__).with_name("static")
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'"
# What page.js asks for; an answer that is kept in a file is found by the same words.
LISTED, REASONS, NEAR, HAD, SUGGESTED = 20, 12, 6, 50, 20
STYLE, SCRIPT = '<link rel="stylesheet" href="page.css">', '<script src="page.js" defer></script>'
END = "</body>"
LARGEST_PICTURE = 200 << 10  # bytes of one that goes into a file
NEIGHBOURS_PICTURES = 16 << 20  # characters of those of items that are neighbours alone


@cache
def text(name: str) -> str:
    """The text of a file of the page."""
    return (STATIC / name).read_text(encoding="utf-8")


def health(model: ExportedModel, beside: ExportedModel | None = None) -> dict[str, Any]:
    """What is served."""
    manifest = model.manifest
    known = {name: manifest[name] for name in ("model", "dataset", "users", "items", "modalities")}
    second = health(beside) if beside is not None else None
    return {"status": "ok", **known, "by": model.kinds, "beside": second}


def self_contained(models: Sequence[ExportedModel], users: Sequence[str]) -> str:
    """The page with the answers about these users inside; raises UnknownId for other users.

    One model, or two that are shown side by side; a user that the second does not know has no list there.
    """
    kept: dict[str, Any] = {"health": health(*models)}
    kept[f"users?query=&limit={SUGGESTED}"] = list(users)[:SUGGESTED]
    for number, model in enumerate(models):
        prefix = "beside/" if number else ""
        there = [user for user in users if not number or user in model.user_row]
        kept |= {f"{prefix}{question}": answer for question, answer in answers(model, there).items()}
    style, script = text("page.css"), text("page.js")
    allowed = f"script-src {digest(script)}; style-src {digest(style)}; img-src data:"
    policy = html.escape(f"default-src 'none'; {allowed}")
    data = json.dumps(kept, ensure_ascii=False).replace("<", "\\u003c")  # ends no element
    inside = {
        STYLE: f'<meta http-equiv="Content-Security-Policy" content="{policy}"><style>{style}</style>',
        SCRIPT: "",
        END: f'<script type="application/json" id="answers">{data}</script><script>{script}</script>{END}',
    }
    whole = text("page.html")
    for element, replacement in inside.items():
        whole = whole.replace(element, replacement)
    return whole


def digest(source: str) -> str:
    """The hash by which a policy allows a script or style inside a page."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


def answers(model: ExportedModel, users: Sequence[str]) -> dict[str, Any]:
    """What the page asks about these users and the items that it shows of them, by the question."""
    kept: dict[str, Any] = {"map": model.map()}
    shown: dict[str, None] = {}
    for user in users:
        u = encoded(user)
        had, listed = model.history(user), model.recommend(user, LISTED)
        kept[f"users/{u}"], kept[f"recommend?user={u}&k={LISTED}"] = had, listed
        items = dict.fromkeys(one["id"] for one in [*had[:HAD], *listed])
        shown |= items
        if model.reasons is not None:
            for item in items:
                question = f"explain?user={u}&item={encoded(item)}&limit={REASONS}"
                kept[question] = model.explain(user, item, REASONS)
    near: list[dict[str, Any]] = []
    for item in shown:
        i = encoded(item)
        kept[f"items/{i}"] = model.item_details(item)
        for by in model.kinds:
            found = kept[f"similar?item={i}&k={NEAR}&by={encoded(by)}"] = model.similar(item, NEAR, by)
            near += found
    named = [found.get("picture") for found in map(model.item_details, shown)]
    kept |= {f"images/{name}": picture(model, name) for name in filter(None, named)}
    left = NEIGHBOURS_PICTURES
    for name in dict.fromkeys(one["picture"] for one in near if "picture" in one):
        if f"images/{name}" not in kept:
            source = picture(model, name)
            left -= len(source)
            if left < 0:
                break
            kept[f"images/{name}"] = source
    return kept


def encoded(word: str) -> str:
    """A word as JavaScript's encodeURIComponent writes it."""
    return quote(word, safe="-_.!~*'()")


def picture(model: ExportedModel, name: str) -> str:
    """A picture as a data: address; empty for a large one."""
    content = (model.folder / layout.IMAGES / name).read_bytes()
    if len(content) > LARGEST_PICTURE:
        return ""
    kind = layout.PICTURES[name[name.rindex(".") :]]
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
