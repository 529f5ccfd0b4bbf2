/** Rows as a whole: adding one by a form, deleting, pasting from a spreadsheet. */

import { cellsOf, tsv } from "./clipboard";
import { button, h, plural } from "./dom";
import { Field } from "./editors";
import { typeMark } from "./headers";
import { Refused, type Rpc } from "./rpc";
import { ask, sheet } from "./sheet";
import type { Column, Reported, Row, Wire } from "./wire";

/** Open the form of a new row; `done` gets its key and its values. */
export function addRow(
  host: HTMLElement,
  rpc: Rpc,
  store: string,
  columns: Column[],
  done: (key: string, record: Record<string, Wire>) => Promise<void>,
): void {
  const { body, foot, close } = sheet(host, `New row of ${store}`);
  const problem = h("p", { class: "refusal", role: "alert" });
  const fields = new Map<string, { field: Field; message: HTMLElement }>();
  const form = h("form", { class: "form" });
  for (const column of columns.filter(({ computed, name }) => !computed && name !== "_id")) {
    const field = new Field(column, column.nullable ? null : column.kind === "bool" ? false : "", column.label);
    const message = h("div", { class: "refusal", role: "alert" });
    fields.set(column.name, { field, message });
    form.append(
      h(
        "div",
        { class: "form-row" },
        h(
          "div",
          { class: "form-label" },
          h("span", { class: "name", text: column.label }),
          column.key > 0 && h("span", { class: "key", text: "key" }),
          h("span", { class: "type", title: column.type, text: typeMark(column.type) }),
        ),
        field.element,
        message,
      ),
    );
  }
  let adding = false;
  const add = async (again: boolean): Promise<void> => {
    if (adding) return; // a second click adds no second row
    adding = true;
    problem.textContent = "";
    for (const { field, message } of fields.values()) {
      message.textContent = "";
      field.input.removeAttribute("aria-invalid");
    }
    const record: Record<string, Wire> = {};
    for (const [name, { field }] of fields) record[name] = field.value;
    try {
      const { key } = await rpc.ask<{ key: string }>("insert", { store, record });
      if (!again) close();
      await done(key, record);
    } catch (error) {
      const about = error instanceof Refused && error.column !== null ? fields.get(error.column) : undefined;
      const said = error instanceof Error ? error.message : String(error);
      if (about) {
        about.message.textContent = said;
        about.field.input.setAttribute("aria-invalid", "true");
        about.field.input.focus();
      } else problem.textContent = said;
    }
    adding = false;
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void add(false);
  });
  form.append(h("button", { type: "submit", class: "hidden", tabindex: "-1", "aria-hidden": "true" }));
  body.append(form, problem);
  foot.append(
    h(
      "div",
      { class: "foot-line end" },
      button("Cancel", close),
      button("Add another", () => void add(true)),
      button("Add row", () => void add(false), { class: "primary" }),
    ),
  );
  [...fields.values()][0]?.field.input.focus();
}

/** Ask whether rows are to be deleted, and delete them; returns whether they were. */
export async function deleteRows(host: HTMLElement, rpc: Rpc, store: string, rows: Row[]): Promise<boolean> {
  const what = plural(rows.length, "row");
  const answer = await ask(
    host,
    `Delete ${what} of ${store}?`,
    [h("p", { text: `${rows.length === 1 ? "It stays" : "They stay"} pending, and can be undone, until you commit.` })],
    [
      { label: "Cancel", value: "" },
      { label: `Delete ${what}`, value: "delete", class: "danger" },
    ],
  );
  if (answer !== "delete") return false;
  await rpc.ask("delete", { store, rows: rows.map(({ key, seq }) => ({ key, seq })) });
  return true;
}

/** Open the sheet that takes rows from a spreadsheet. */
export function pasteRows(host: HTMLElement, rpc: Rpc, store: string, columns: Column[], unique: boolean, given: string, done: () => Promise<void>): void {
  const { body, foot, close } = sheet(host, `Paste rows into ${store}`);
  const area = h("textarea", {
    class: "paste exact",
    rows: "7",
    spellcheck: "false",
    "aria-label": "Rows, tab separated",
    placeholder: "Copy cells in a spreadsheet and paste them here (Ctrl+V). A first line with column names is understood.",
  });
  /** What was pasted as it came, and as the area has it, which knows one kind of line ends only. */
  let whole = { given: "", shown: "" };
  const take = (text: string): void => {
    area.value = text;
    whole = { given: text, shown: area.value };
  };
  const mode = h(
    "select",
    { "aria-label": "What to do with keys that are there" },
    h("option", { value: "insert", text: "Insert: keys that are there are refused" }),
    unique && h("option", { value: "upsert", text: "Upsert: keys that are there are updated" }),
  );
  const preview = h("div", { class: "preview" });
  const result = h("div", { class: "report", role: "status" });
  const go = button("Paste", () => void paste(), { class: "primary" });
  const into = columns.filter(({ computed, name }) => !computed && name !== "_id");
  const by = new Map(into.flatMap((column) => [[column.name, column] as const, [column.label, column] as const]));

  /** The columns of the cells, and the rows without a line of names. */
  function read(): { names: string[]; rows: string[][]; text: string } {
    const rows = cellsOf(area.value === whole.shown ? whole.given : area.value).filter((row) => row.length > 1 || row[0] !== ""); // an empty line is no row
    const first = rows[0] ?? [];
    const named = first.length > 0 && first.every((name) => by.has(name.trim()));
    if (!named) return { names: into.slice(0, first.length).map(({ name }) => name), rows, text: tsv(rows) };
    const rest = rows.slice(1);
    return { names: first.map((name) => by.get(name.trim())?.name ?? name), rows: rest, text: tsv(rest) };
  }

  function look(): void {
    const { names, rows } = read();
    go.disabled = rows.length === 0;
    (go.lastChild as HTMLElement).textContent = rows.length ? `Paste ${plural(rows.length, "row")}` : "Paste";
    result.replaceChildren();
    preview.replaceChildren();
    if (!rows.length) return;
    preview.append(
      h(
        "table",
        {},
        h("thead", {}, h("tr", {}, ...names.map((name) => h("th", { text: name, scope: "col" })))),
        h("tbody", {}, ...rows.slice(0, 5).map((row) => h("tr", {}, ...row.map((value) => h("td", { text: value }))))),
      ),
    );
    if (rows.length > 5) preview.append(h("p", { class: "muted", text: `and ${plural(rows.length - 5, "more row", "more rows")}` }));
  }

  async function paste(): Promise<void> {
    const given = area.value;
    const { names, text } = read();
    go.disabled = true;
    try {
      const { report } = await rpc.ask<{ report: Reported[] }>("paste", { store, columns: names, text, mode: mode.value });
      const bad = report.filter(({ ok }) => !ok);
      result.replaceChildren(
        h("p", { class: bad.length ? "bad" : "good", text: `${plural(report.length - bad.length, "row")} taken${bad.length ? `, ${bad.length} refused` : ""}` }),
        h("ul", {}, ...bad.slice(0, 200).map(({ row, message }) => h("li", {}, h("b", { text: `Row ${row + 1}: ` }), message))),
      );
      result.scrollIntoView({ block: "nearest" });
      await done();
      if (!bad.length && area.value === given) {
        area.value = "";
        preview.replaceChildren();
      } else go.disabled = false;
    } catch (error) {
      result.replaceChildren(h("p", { class: "bad", text: error instanceof Error ? error.message : String(error) }));
      go.disabled = false;
    }
  }

  area.addEventListener("input", look);
  area.addEventListener("paste", (event) => {
    if (area.selectionStart > 0 || area.selectionEnd < area.value.length) return;
    event.preventDefault();
    take(event.clipboardData?.getData("text/plain") ?? "");
    look();
  });
  take(given);
  body.append(area, h("label", { class: "line-label" }, h("span", { text: "Keys" }), mode), result, preview);
  foot.append(h("div", { class: "foot-line end" }, button("Close", close), go));
  look();
  area.focus();
}
