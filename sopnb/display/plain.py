"""Panels as lines of text."""

from __future__ import annotations

from sopnb.display.panel import Panel, Shown, panel_of

TEXT_WIDTH = 100


def text(shown: Shown) -> str:
    """Return an object as lines of text, at most 100 characters wide."""
    return _text(panel_of(shown))


def _text(panel: Panel) -> str:
    head = f"{panel.kind} {panel.name!r}" if panel.name else panel.kind
    lines = [f"{head}: {'; '.join(panel.facts)}" if panel.facts else head]
    if panel.columns and panel.rows:
        lines += _grid(panel)
    if panel.note:
        lines.append(f"  … {panel.note}")
    return "\n".join(lines)


def _grid(panel: Panel) -> list[str]:
    heads = [f"{column.name} {column.arrow}".rstrip() for column in panel.columns]
    cells = [["null" if cell is None else cell for cell in row] for row in panel.rows]
    table = [heads, *cells]
    widths = [max(len(line[i]) for line in table) for i in range(len(heads))]
    fits, width = 0, 0
    while fits < len(heads) and width + 2 + widths[fits] <= TEXT_WIDTH - (0 if fits == len(heads) - 1 else 3):
        width += 2 + widths[fits]
        fits += 1
    fits = max(fits, 1)
    more = "  …" if fits < len(heads) else ""
    lines = []
    for line in table:
        placed = [
            cell.rjust(w) if column.right else cell.ljust(w) for cell, w, column in zip(line, widths[:fits], panel.columns, strict=False)
        ]
        lines.append(("  " + "  ".join(placed) + more).rstrip())
    return lines
