"""`recbole-micro explain`: why an item is recommended, as text, as a card, as JSON."""

import json

from dataset_tools.files import write_text
from recbole_micro.commands.arguments import needed, out_file, positive, read_own
from recbole_micro.commands.card import card
from recbole_micro.inference.explain import Explainer, Explanation, Neighbour
from recbole_micro.options import user_models
from recbole_micro.training.loading import load_data_and_model

HELP = """\
usage: recbole-micro explain --checkpoint=FILE --user=ID --item=ID [--out=FILE]

Takes a score apart: the collaborative part, and what each item that this one is connected with adds through
the graph of each modality (MICRO, LATTICE, FREEDOM, and models that say it of themselves).  The parts sum to
the score.  Other models have the score alone.

  --checkpoint=FILE  the .pth file that training wrote
  --user=ID          an id as in the .inter file
  --item=ID          an id as in the .inter file
  --top=N            items that are listed by name (default: 10); JSON has all of them
  --out=FILE         a .html file (a card with pictures, where the .item file names them) or a .json file
                     (default: text on the screen)
  --data_path=DIR    the folder that holds the data set's, if it has moved since the training
  --plugins=FILE     the Python file of a model of your own

Example:
  recbole-micro explain --checkpoint=saved/MICRO-....pth --user=196 --item=50 --out=card.html"""
NAMES = ("checkpoint", "user", "item", "top", "out", "data_path", "plugins")


def main(argv: list[str]) -> int:
    """`recbole-micro explain`; the exit code."""
    if {"-h", "--help"} & set(argv):
        print(HELP)
        return 0
    own = read_own("explain", argv, NAMES)
    checkpoint = needed("explain", own, "checkpoint", "a trained model: write --checkpoint=FILE")
    user, item = (needed("explain", own, name, f"--{name}=ID") for name in ("user", "item"))
    out, top = out_file(own, (".html", ".json")), positive(own, "top") or 10
    user_models.load(own.get("plugins"))
    source = load_data_and_model(checkpoint, own.get("data_path"), log=False)
    explanation = Explainer(source.model, source.dataset).explain(user, item)
    if out is None:
        print(as_text(explanation, top))
    elif out.suffix == ".json":
        write_text(out, json.dumps(explanation.as_dict(), ensure_ascii=False, indent=1) + "\n")
    else:
        write_text(out, card(explanation, source.dataset, source.config["model"], top))
    return 0


def as_text(explanation: Explanation, top: int) -> str:
    """The explanation for a terminal."""
    name = f"{explanation.item} {explanation.title}".rstrip()
    lines = [f"{name} for user {explanation.user}: score {explanation.score:.4f}"]
    if explanation.note:
        return "\n".join([*lines, explanation.note])
    lines += [f"  {explanation.collaborative:+.4f}  collaborative: who likes what"]
    for modality, share in explanation.through().items():
        weight = explanation.modalities.get(modality)
        attention = "" if weight is None else f", attention {weight:.2f}"
        lines += [f"  {share:+.4f}  through {modality}{attention}"]
    for heading, neighbours in explanation.by_choice().items():
        lines += [f"{heading}:", *(neighbour_line(one) for one in neighbours[:top])]
        others = neighbours[top:]
        if others:
            lines += [f"  {sum(one.share for one in others):+.4f}  {len(others)} more"]
    return "\n".join(lines)


def neighbour_line(one: Neighbour) -> str:
    """One item of the explanation."""
    far = {0: "itself", 1: "1 step"}.get(one.hops, f"{one.hops} steps")
    return f"  {one.share:+.4f}  {one.modality}, {far}: {one.item} {one.title}".rstrip()
