/** Tab separated text, in which spreadsheets and the grid exchange cells: copied out of the grid, and read. */

import { h, plural } from "./dom";
import type { Grid } from "./grid";
import type { Rpc } from "./rpc";
import { type Column, isCut, type Row, type Wire } from "./wire";

export interface Copied {
  rows: Row[];
  columns: Column[];
  /** With a line of names where rows are copied. */
  cells: (Wire | undefined)[][];
  /** What to say of it. */
  told: string;
  /** Whether no value is cut. */
  whole: boolean;
}

/** What is to be copied: the selected rows with a line of names, else the cell with the focus; `names` are the columns of the cells of a row. */
export function copied(grid: Grid, names: string[]): Copied {
  const chosen = grid.chosen();
  const focused = grid.row(grid.focusedPosition());
  const rows = chosen.length ? chosen : focused ? [focused] : [];
  const column = grid.focusedColumn();
  const columns = chosen.length || !column ? grid.shown() : [column];
  const body = rows.map(({ cells }) => columns.map(({ name }) => cells[names.indexOf(name)]));
  return {
    rows,
    columns,
    cells: chosen.length ? [columns.map(({ name }) => name), ...body] : body,
    told: chosen.length ? `${plural(rows.length, "row")} copied` : "The value was copied",
    whole: !body.flat().some(isCut),
  };
}

/** The cells of what is copied, each value whole. */
export async function whole({ rows, columns, cells }: Copied, rpc: Rpc, store: string): Promise<(Wire | undefined)[][]> {
  const headed = cells.length - rows.length;
  return Promise.all(
    cells.map((line, at) =>
      Promise.all(
        line.map(async (value, place) => {
          const row = rows[at - headed];
          const column = columns[place];
          if (!isCut(value) || !row || !column) return value;
          return (await rpc.ask<{ value: Wire }>("value", { store, key: row.key, column: column.name })).value;
        }),
      ),
    ),
  );
}

/** A value as a cell of tab separated text; null is the empty cell. */
function tsvCell(value: Wire | undefined): string {
  if (value === null || value === undefined) return "";
  const plain = isCut(value) ? value.cut : String(value);
  return /[\t\r\n"]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}

export function tsv(rows: (Wire | undefined)[][]): string {
  return rows.map((row) => row.map(tsvCell).join("\t")).join("\n");
}

/** Cells of tab separated text, as spreadsheets write it: quotes where a cell holds tabs, quotes or line ends. */
export function cellsOf(tsv: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let at = 0;
  while (at < tsv.length) {
    const quoted = tsv[at] === '"' ? /"((?:[^"]|"")*)"(?=\t|\r?\n|$)/y : null;
    if (quoted) quoted.lastIndex = at;
    const inQuotes = quoted?.exec(tsv);
    const plain = /[^\t\r\n]*/y;
    plain.lastIndex = at;
    const found = inQuotes ?? (plain.exec(tsv) as RegExpExecArray);
    row.push(inQuotes ? (inQuotes[1] ?? "").replaceAll('""', '"') : found[0]);
    at += found[0].length;
    if (tsv[at] === "\t") {
      at++;
      if (at < tsv.length) continue;
      row.push("");
    }
    if (tsv[at] === "\r") at++;
    if (tsv[at] === "\n") at++;
    rows.push(row);
    row = [];
  }
  return rows;
}

/** Put a text on the clipboard, by whichever way the page allows. */
export async function toClipboard(host: HTMLElement, text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", { class: "hidden", "aria-hidden": "true", tabindex: "-1" });
    const before = (host.getRootNode() as ShadowRoot).activeElement as HTMLElement | null;
    area.value = text;
    host.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    before?.focus();
    if (!copied) throw new Error("the browser does not let this page copy; press Ctrl+C on the grid instead");
  }
}
