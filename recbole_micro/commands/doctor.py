"""`recbole-micro doctor`: everything that it looks at, as text or JSON."""

import json
from dataclasses import asdict
from pathlib import Path

from recbole_micro.commands.arguments import read_own
from recbole_micro.doctor import environment
from recbole_micro.doctor.data_sets import data_sets
from recbole_micro.doctor.finding import ABSENT, BROKEN, OK, WARNING, Finding

MARKS = {OK: "ok", ABSENT: "-", WARNING: "WARNING", BROKEN: "BROKEN"}
HELP = """\
usage: recbole-micro doctor [--data_path=DIR] [--json]

Looks at versions, the mends of RecBole, devices, threads, disk space, data sets and optional packages, and
says what to do about what is wrong.  Trains nothing.  The exit code is 1 where something is broken.

  --data_path=DIR    the folder that holds the data sets' (default: dataset)
  --json             the same as JSON: {"sound", "findings": [{"section", "name", "state", "text", "remedy"}]}

Example:
  recbole-micro doctor --data_path=dataset"""


def examine(data_path: Path) -> list[Finding]:
    """All findings."""
    return [
        *environment.packages(),
        *environment.mends(),
        *environment.devices(),
        *environment.threads(),
        *environment.disk([data_path, Path("saved")]),
        *data_sets(data_path),
        *environment.optional(),
    ]


def lines(findings: list[Finding]) -> list[str]:
    """The findings for people, then what is to be done."""
    width = max(len(finding.name) for finding in findings)
    text: list[str] = []
    section = ""
    for finding in findings:
        if finding.section != section:
            section = finding.section
            text += [*([""] if text else []), f"{section[0].upper()}{section[1:]}"]
        how = f" ({finding.remedy.rstrip('.')})" if finding.state == ABSENT else ""
        text.append(f"  {MARKS[finding.state]:8}{finding.name:{width}}  {finding.text}{how}")
        if finding.remedy and finding.state in (WARNING, BROKEN):
            text.append(f"{'':10}{'':{width}}  What to do: {finding.remedy}")
    counts = {state: sum(finding.state == state for finding in findings) for state in (BROKEN, WARNING)}
    return [*text, "", f"{counts[BROKEN]} broken, {counts[WARNING]} to look at."]


def main(argv: list[str]) -> int:
    """The exit code: 1 where something is broken."""
    if {"-h", "--help"} & set(argv):
        print(HELP)
        return 0
    own = read_own("doctor", argv, ("data_path",), ("json",))
    findings = examine(Path(own.get("data_path", "dataset")).expanduser())
    sound = all(finding.state != BROKEN for finding in findings)
    if "json" in own:
        print(json.dumps({"sound": sound, "findings": [asdict(finding) for finding in findings]}, indent=1))
    else:
        print("\n".join(lines(findings)))
    return 0 if sound else 1
