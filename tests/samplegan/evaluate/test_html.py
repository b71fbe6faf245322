"""The page: well-formed, self-contained, and safe for any name."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
from html.parser import HTMLParser

import matplotlib.image
import numpy as np
import pytest

from samplegan.evaluate.figures import Picture
from samplegan.evaluate.html import page
from samplegan.evaluate.report import Report, targets
from samplegan.evaluate.table import CHARACTERISTICS, COLUMNS

VOID = {"meta", "img"}


class Tree(HTMLParser):
    """Fails on tags that do not match, and collects elements and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def text(report: Report, drawn: dict[str, Picture]) -> str:
    return page(report, drawn)


def test_the_page_needs_nothing_from_elsewhere(text: str):
    assert not re.search(r"https?:|//|<script|<link|@import|url\(", re.sub(r"base64,[^\"]*", "", text))
    images = Tree(text).all("img")
    assert len(images) == 4
    for image in images:
        assert image["alt"] and (image["src"] or "").startswith("data:image/png;base64,")


def test_pictures_are_inside_whole(text: str, drawn: dict[str, Picture]):
    sources = re.findall(r"base64,([^\"]*)", text)
    for source, picture in zip(sources, drawn.values(), strict=True):
        assert base64.b64decode(source) == picture.png
        pixels = matplotlib.image.imread(io.BytesIO(picture.png))[..., :3]
        assert pixels.shape[0] > 500 and pixels.shape[1] > 900
        assert np.mean(pixels == 1.0) > 0.02 and pixels.std() > 0.1  # something is drawn, on white


def test_tables_tell_what_every_cell_is(report: Report, text: str):
    tree = Tree(text)
    tables, captions = tree.all("table"), tree.all("caption")
    assert len(tables) == len(captions) == 3
    heads = tree.all("th")
    assert all(head.get("scope") in ("col", "row") for head in heads)
    in_rows = sum(head["scope"] == "row" for head in heads)
    assert in_rows == len(report.rows) + len(targets(report)) + len(CHARACTERISTICS)
    assert sum(head["scope"] == "col" for head in heads) == 1 + len(COLUMNS) + 5 + 8
    words = " ".join(tree.words)
    met = sum(each.is_met for each in targets(report))
    assert f"{met} of {len(targets(report))} targets are met" in words
    for each in report.rows:
        assert f"{each.fd_mel:.2f}" in words


def test_light_and_dark(text: str):
    assert "color-scheme: light dark" in text and "prefers-color-scheme: dark" in text


def test_names_cannot_break_the_page(report: Report, drawn: dict[str, Picture]):
    name = '<b>&"x"</b>'
    rows = (dataclasses.replace(report.subject, name=name), *report.rows[1:])
    hostile = page(dataclasses.replace(report, rows=rows), drawn)
    tree = Tree(hostile)
    assert not tree.all("b") and name in "".join(tree.words)
