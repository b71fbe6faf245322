"""A report as one page that needs nothing else: no network, no scripts, pictures inside."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from samplegan.evaluate.figures import Picture
from samplegan.evaluate.report import Report, targets
from samplegan.evaluate.table import (
    CHARACTERISTICS,
    COLUMNS,
    SETS,
    characteristic_words,
    flaw_words,
    heading,
    kick_words,
    notes,
    reason,
    verdict,
)

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1e; --quiet: #5b5b60; --line: #d7d7db; --back: #fff; --mark: #eef5f7;
  --good: #1d6b3a; --bad: #a03018; }
@media (prefers-color-scheme: dark) { :root { --ink: #ececef; --quiet: #a5a5ac; --line: #3c3c42; --back: #17171a;
  --mark: #1f2d33; --good: #7fcf9b; --bad: #f0957c; } }
body { margin: 0 auto; max-width: 76rem; padding: 2.5rem 1.5rem 4rem; background: var(--back); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.9rem; margin: 0 0 .3rem; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .6rem; }
p { margin: .3rem 0; max-width: 48rem; }
.quiet, caption, figcaption, dd { color: var(--quiet); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: .5rem; }
th, td { padding: .34rem .6rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td.words { text-align: left; }
thead th { border-bottom: 2px solid var(--line); }
tbody th { position: sticky; left: 0; background: var(--back); }
tr.subject, tr.subject th { background: var(--mark); font-weight: 600; }
.met { color: var(--good); } .unmet { color: var(--bad); font-weight: 600; }
dl { display: grid; grid-template-columns: max-content auto; gap: .15rem 1rem; font-size: .92rem; }
dt { font-weight: 600; } dd { margin: 0; }
figure { margin: 0 0 1.5rem; } figcaption { font-size: .92rem; margin-top: .4rem; }
img { max-width: 100%; height: auto; background: #fff; border-radius: 6px; }
@page { size: landscape; margin: 12mm; }
@media print { body { max-width: none; padding: 0; font-size: 13px; } figure { break-inside: avoid; }
  img { max-height: 150mm; } }
"""


def page(report: Report, pictures: Mapping[str, Picture]) -> str:
    """The whole report as HTML."""
    asked = targets(report)
    title = f"{report.subject.name} against {report.against.name}"
    sections = [
        f"<h1>{escape(title)}</h1>",
        *(f'<p class="quiet">{escape(line)}</p>' for line in heading(report)),
        f"<p><strong>{sum(each.is_met for each in asked)} of {len(asked)} targets are met.</strong></p>",
        *(f"<p>{escape(line)}</p>" for line in notes(report)),
        "<h2>Every set against the held-out sounds</h2>",
        _sets(report),
        _lines((name, words) for name, words in SETS.items() if name in {row.name for row in report.rows}),
        _lines((column.heading, column.meaning) for column in COLUMNS),
        "<h2>Targets</h2>",
        _targets(report),
    ]
    for name, picture in pictures.items():
        sections += [f'<h2 id="{name}">{escape(picture.title)}</h2>', _figure(picture)]
    sections += ["<h2>Characteristics in numbers</h2>", _characteristics(report)]
    if report.kicks:
        sections += [
            "<h2>What makes a kick</h2>",
            _lines((name, kick_words(each)) for name, each in report.kicks.items()),
        ]
    sections += ["<h2>Flaws</h2>", _lines((name, flaw_words(each)) for name, each in report.flaws.items())]
    body = "\n".join(sections)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n"
        "</body>\n</html>\n"
    )


def _sets(report: Report) -> str:
    rows = [
        _row(
            row.name,
            [column.words(row) for column in COLUMNS],
            kind=row.kind,
            hint=SETS.get(row.name, ""),
        )
        for row in report.rows
    ]
    return _table(
        f"Distances to the same {report.sounds} held-out sounds: means of draws of as many",
        [("set", ""), *((column.heading, column.meaning) for column in COLUMNS)],
        rows,
    )


def _targets(report: Report) -> str:
    rows = [
        f'<tr><th scope="row">{escape(each.name)}</th><td>{each.value:.3f}</td>'
        f"<td>{'≥' if each.at_least else '≤'} {each.limit:.3f}</td>"
        f'<td class="words {"met" if each.is_met else "unmet"}">{verdict(each)}</td>'
        f'<td class="words quiet">{escape(reason(each))}</td></tr>'
        for each in targets(report)
    ]
    heads = [("figure", ""), (report.subject.name, ""), ("asked", ""), ("", "whether it is met"), ("", "why")]
    return _table("What is asked of a model", heads, rows)


def _characteristics(report: Report) -> str:
    rows = [
        _row(
            CHARACTERISTICS[name].words,
            [CHARACTERISTICS[name].unit, *(words.strip() for words in characteristic_words(name, each))],
        )
        for name, each in report.differences.items()
    ]
    heads = ("characteristic", "unit", "real", "spread", report.subject.name, "spread", "W1", "KS")
    return _table(
        "Medians; spreads are between quartiles, as standard deviations, in octaves for times and frequencies; "
        "W1 in real spreads",
        [(head, "") for head in heads],
        rows,
    )


def _table(caption: str, heads: Sequence[tuple[str, str]], rows: Sequence[str]) -> str:
    """`heads` are words and what they mean, where the words do not say it."""
    cells = "".join(
        f'<th scope="col"{f" title={_quoted(meaning)}" if meaning else ""}>{escape(words)}</th>'
        for words, meaning in heads
    )
    body = "\n".join(rows)
    return (
        f'<div class="wide"><table>\n<caption>{escape(caption)}</caption>\n'
        f"<thead><tr>{cells}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def _row(name: str, cells: Sequence[str], *, kind: str = "", hint: str = "") -> str:
    opening = f'<tr class="{kind}">' if kind else "<tr>"
    head = f'<th scope="row"{f" title={_quoted(hint)}" if hint else ""}>{escape(name)}</th>'
    return f"{opening}{head}{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _lines(entries: Iterable[tuple[str, str]]) -> str:
    return (
        "<dl>"
        + "".join(f"<dt>{escape(name)}</dt><dd>{escape(words)}</dd>" for name, words in entries)
        + "</dl>"
    )


def _figure(picture: Picture) -> str:
    data = base64.b64encode(picture.png).decode()
    return (
        f'<figure><img alt={_quoted(picture.words)} src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(picture.words)}</figcaption></figure>"
    )


def _quoted(text: str) -> str:
    return f'"{escape(text, quote=True)}"'
