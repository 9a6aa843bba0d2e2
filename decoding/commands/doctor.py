"""`scansion doctor`: is this installation sound?"""

from __future__ import annotations

import typer
from rich.text import Text

from decoding.doctor import Verdict, examine
from decoding.terminal import console, table

_MARKS = {Verdict.GOOD: "[green]good[/]", Verdict.NOTE: "[yellow]note[/]", Verdict.BROKEN: "[red bold]broken[/]"}


def doctor() -> None:
    """Check this installation and say what to do where it is broken. Exit code 1 if it is."""
    with console.status("examining"):
        findings = list(examine())
    shown = table("", "what", "found")
    for finding in findings:
        found = Text(finding.detail)
        if finding.remedy:
            found.append(f"\n→ {finding.remedy}", style="dim")
        shown.add_row(_MARKS[finding.verdict], Text(finding.subject), found)
    console.print(shown)
    broken = sum(finding.verdict is Verdict.BROKEN for finding in findings)
    console.print(f"{broken} broken" if broken else "This installation is sound.")
    if broken:
        raise typer.Exit(1)
