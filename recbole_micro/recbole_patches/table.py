"""The table of everything that importing the plugin changes in RecBole and below it."""

from recbole_micro.recbole_patches.bugs import BUGS
from recbole_micro.recbole_patches.hand_out import HAND_OUT
from recbole_micro.recbole_patches.libraries import BEFORE_IMPORT, LIBRARIES
from recbole_micro.recbole_patches.mechanism import Patch
from recbole_micro.recbole_patches.safety import SAFETY

__all__ = ["BEFORE_IMPORT", "KNOWN_VERSIONS", "PATCHES", "SECTIONS", "markdown"]

KNOWN_VERSIONS = ("1.2.0", "1.2.1")  # setup.py takes the first
SECTIONS: dict[str, tuple[Patch, ...]] = {
    "Libraries: before RecBole can be imported": BEFORE_IMPORT,
    "Libraries": LIBRARIES,
    "RecBole's own faults": BUGS,
    "Nothing is evaluated or unpickled": SAFETY,
    "The plugin's classes are found": HAND_OUT,
}
PATCHES = (*LIBRARIES, *BUGS, *SAFETY, *HAND_OUT)


def markdown() -> str:
    """The table as it stands in docs/internals.md."""
    parts = []
    for title, patches in SECTIONS.items():
        lines = [f"**{title}**", "", "| what | how | why | needed with |", "| --- | --- | --- | --- |"]
        for patch in patches:
            owner = patch.owner.replace(":", ".").removeprefix("recbole.")
            versions = patch.versions or f"RecBole {patch.release or ', '.join(KNOWN_VERSIONS)}"
            lines.append(f"| `{owner}.{patch.name}` | {patch.how} | {patch.cause} | {versions} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"
