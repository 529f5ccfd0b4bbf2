"""Panels as HTML. It takes its colours from the page, light or dark, and has no effect on anything else there."""

from __future__ import annotations

import html as escaping
from collections.abc import Iterator, Sequence

from sopnb.display.distribution import Distribution
from sopnb.display.panel import Column, Panel, Shown, panel_of
from sopnb.display.values import LONGEST_VALUE, clean

WIDTH, HEIGHT = 96, 24
"""Of the bars of a column, in pixels."""
_LINE = "1px solid;border-{}-color:color-mix(in srgb,currentColor 35%,transparent)"
_DIM = "opacity:.62"
_CELL = "padding:3px 10px;white-space:nowrap;vertical-align:top;text-align:"


def html(shown: Shown) -> str:
    """Return an object as a piece of HTML."""
    return _html(panel_of(shown))


def _html(panel: Panel) -> str:
    """Return a panel as HTML. Styles are attributes: notebooks that are not trusted yet take style sheets away, and these cannot leak."""
    esc = escaping.escape
    title = esc(clean(panel.name, 2 * LONGEST_VALUE)) if panel.name else panel.kind
    kind = [_span(_DIM, panel.kind.lower())] if panel.name else []
    facts = f" {_span(_DIM, '·')} ".join([*kind, *map(esc, panel.facts)])
    parts = [
        '<div style="font-size:13px;line-height:1.5">',
        f'<div style="margin-bottom:4px"><b style="font-size:14px">{title}</b> {facts}</div>',
    ]
    if panel.columns and panel.rows:
        last = max(column.key for column in panel.columns)
        heads = "".join(_head(column, look, last) for column, look in zip(panel.columns, panel.distributions(), strict=True))
        table = "border-collapse:collapse;margin:0;color:inherit;font-size:12px;font-variant-numeric:tabular-nums"
        parts.append(f'<div style="overflow-x:auto"><table style="{table}"><thead><tr>{heads}</tr></thead><tbody>')
        parts += ["<tr>" + "".join(map(_cell, row, panel.columns, [last] * len(row))) + "</tr>" for row in panel.rows]
        parts.append("</tbody></table></div>")
    if panel.note:
        parts.append(f'<div style="margin-top:4px;font-size:12px;{_DIM}">… {esc(panel.note)}</div>')
    return "\n".join([*parts, "</div>"])


def _span(style: str, text: str) -> str:
    return f'<span style="{style}">{text}</span>'


def _style(column: Column, last: int) -> str:
    """Return the style of a cell; a line stands after the last column of the key."""
    line = f";border-right:{_LINE.format('right')}" if column.key and column.key == last else ""
    return _CELL + ("right" if column.right else "left") + line


def _head(column: Column, look: Distribution | None, last: int) -> str:
    esc = escaping.escape
    weight = "font-weight:bold" if column.key else "font-weight:500"
    told = f' title="key field {column.key}, {"descending" if column.descending else "ascending"}"' if column.key else ""
    arrow = f"\N{NO-BREAK SPACE}{column.arrow}" if column.key else ""
    kind = f'<br><small style="font-weight:normal;{_DIM}">{esc(column.kind)}</small>' if column.kind else ""
    style = f"{_style(column, last)};{weight};border-bottom:{_LINE.format('bottom')}"
    return f'<th style="{style}"{told}>{esc(column.name)}{arrow}{kind}{"" if look is None else _chart(look)}</th>'


def _chart(look: Distribution) -> str:
    """Return the bars of a column with their caption; their figures are told to those who point at them or do not see them."""
    shapes = [*_bars(look.bars), *_parts(look.parts)]
    if look.nulls:
        shapes += [
            _box(0, HEIGHT + 2, WIDTH * (1 - look.nulls), 2, 0.5),
            _box(WIDTH * (1 - look.nulls), HEIGHT + 2, WIDTH * look.nulls, 2, 0.15),
        ]
    if not shapes:
        return ""
    size = f'width="{WIDTH}" height="{HEIGHT + 4}" viewBox="0 0 {WIDTH} {HEIGHT + 4}"'
    words, caption = escaping.escape(look.words), escaping.escape(look.caption) or "&nbsp;"
    return (
        f'<div role="img" aria-label="{words}" title="{words}" style="margin-top:4px;line-height:1.3">'
        f'<svg {size} fill="currentColor">{"".join(shapes)}</svg><br><small style="font-weight:normal;{_DIM}">{caption}</small></div>'
    )


def _bars(heights: Sequence[float]) -> Iterator[str]:
    """Yield bars side by side; what is there at all is at least a line high."""
    step = WIDTH / max(len(heights), 1)
    for i, height in enumerate(heights):
        if height:
            tall = max(HEIGHT * height, 1)
            yield _box(i * step, HEIGHT - tall, step - 1, tall, 0.5)
    if heights:
        yield _box(0, HEIGHT, WIDTH, 1, 0.25)


def _parts(shares: Sequence[float]) -> Iterator[str]:
    """Yield the parts of a bar, ever lighter; the rest is the lightest."""
    at = 0.0
    for i, share in enumerate(shares):
        if share:
            yield _box(at, HEIGHT / 3, max(WIDTH * share - 1, 0.5), HEIGHT * 2 / 3, 0.6 - 0.12 * i)
            at += WIDTH * share
    if shares and WIDTH - at > 0.5:
        yield _box(at, HEIGHT / 3, WIDTH - at, HEIGHT * 2 / 3, 0.12)


def _box(x: float, y: float, width: float, height: float, dark: float) -> str:
    return f'<rect x="{x:.4g}" y="{y:.4g}" width="{width:.4g}" height="{height:.4g}" fill-opacity="{dark:.2g}"/>'


def _cell(cell: str | None, column: Column, last: int) -> str:
    shown = _span("font-style:italic;opacity:.5", "null") if cell is None else escaping.escape(cell)
    return f'<td style="{_style(column, last)}">{shown}</td>'
