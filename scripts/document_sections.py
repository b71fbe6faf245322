"""What the scripts that measure share: a document whose sections each run replaces on its own, and by what a figure was
measured.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

LIBRARIES = ("samplegan", "torch", "numpy", "numba", "pyfftw")


def read_sections(document: Path) -> dict[str, str]:
    """The sections that stand in a document, by name; none where there is no document."""
    text = document.read_text(encoding="utf-8") if document.exists() else ""
    found = re.findall(r"<!-- section ([\w-]+) -->\n(.*?)\n<!-- end -->\n", text, flags=re.DOTALL)
    return dict(found)


def write_sections(document: Path, introduction: str, sections: Mapping[str, str]) -> None:
    """Write a document of an introduction and named sections, in the order given."""
    parts = [introduction.strip()]
    parts += [f"<!-- section {name} -->\n{text.strip()}\n<!-- end -->" for name, text in sections.items()]
    document.parent.mkdir(parents=True, exist_ok=True)
    document.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def table(header: Sequence[str], rows: Iterable[Sequence[object]], *, left: int = 1) -> str:
    """Markdown; the first columns to the left, numbers to the right."""
    lines = [header, ["---" if index < left else "--:" for index in range(len(header))], *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def paragraphs(*texts: str) -> str:
    """One below the other; what is not a heading, a table, a picture or a signature is broken into lines."""
    return "\n\n".join(
        text if text.startswith(("#", "|", "!", "*20")) else textwrap.fill(text, 118, break_on_hyphens=False)
        for text in texts
    )


def signature(command: str) -> str:
    """By which command, when, on what, with what."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
    today = datetime.datetime.now(tz=datetime.UTC).date()
    return f"*{today}, `{command}`; {processor()}, {os.cpu_count()} cores; {versions}.*"


def processor() -> str:
    """The processor's model."""
    information = Path("/proc/cpuinfo")
    text = information.read_text(encoding="utf-8") if information.exists() else ""
    found = re.search(r"model name\s*: (.*)", text)
    return found[1] if found else platform.processor() or platform.machine()
