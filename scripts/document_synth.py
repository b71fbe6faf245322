"""Writes docs/synth.md from the synthesiser's ranges: `python scripts/document_synth.py`."""

from __future__ import annotations

from pathlib import Path

from samplegan.categories import CATEGORIES
from samplegan.synth import styles
from samplegan.synth.ranges import page

PAGE = Path(__file__).parents[1] / "docs" / "synth.md"

if __name__ == "__main__":
    PAGE.write_text(page({category: styles(category) for category in CATEGORIES}), encoding="utf-8")
