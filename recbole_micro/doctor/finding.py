"""One line of what the doctor finds."""

from dataclasses import dataclass

OK, ABSENT, WARNING, BROKEN = "ok", "absent", "warning", "broken"


@dataclass(frozen=True)
class Finding:
    """`state` of one thing: ok, absent (an optional package), warning or broken; `remedy`: what to do."""

    section: str
    name: str
    state: str
    text: str
    remedy: str = ""
