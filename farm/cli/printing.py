"""What the commands print: JSON for programs, aligned columns and findings for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

import typer
from rich.cells import cell_len
from rich.console import Console

out = Console(soft_wrap=True, highlight=False, markup=False)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red"}


@dataclass(frozen=True)
class Finding:
    """What a check found."""

    state: Literal["ok", "warning", "failed"]
    text: str
    mend: str = ""
    """What a person can do about it."""


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def print_table(rows: Sequence[Sequence[object]]) -> None:
    """Print rows in aligned columns; nothing is cut off, the last column may be long."""
    texts = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*texts, strict=True)]
    for row in texts:
        cells = (cell + " " * (w - cell_len(cell)) for cell, w in zip(row, widths, strict=True))
        out.print("  ".join(cells).rstrip())


def printable(value: object) -> str:
    """Return a value as one line without control characters: titles come from documents."""
    return "".join(c if c.isprintable() else " " for c in str(value))


def print_finding(name: str, finding: Finding) -> None:
    """Print one finding, and below it how to mend it."""
    out.print(f"{finding.state:<9}", style=_STYLES[finding.state], end="")
    out.print(f"{name:<13}{printable(finding.text)}")
    if finding.mend:
        out.print(f"{'':22}-> {printable(finding.mend)}")


def findings_json(findings: Mapping[str, Finding]) -> list[dict[str, str]]:
    """Return findings as rows for JSON."""
    return [{"check": name, **asdict(finding)} for name, finding in findings.items()]


def any_failed(findings: Mapping[str, Finding]) -> bool:
    """Whether a check failed: the exit code follows from it."""
    return any(finding.state == "failed" for finding in findings.values())
