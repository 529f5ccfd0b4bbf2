/** What the builder, the wizard and the history have in common: a head, what is said, and tables of values of the wire. */

import { cell, fraction, look } from "./cells";
import { h } from "./dom";
import { typeMark } from "./headers";
import { showLost } from "./lost";
import { type Changed, type Model, Refused, Rpc } from "./rpc";
import type { Column, Kind, Wire } from "./wire";

/** A column as it is described before there is a store. */
export interface Described {
  name: string;
  type: string;
  kind: Kind;
  orderable: boolean;
  choices?: string[];
}

/** An index specification as plain values. */
export interface Specification {
  fields: { name: string; descending: boolean; nulls?: string }[];
  unique: boolean;
  carrying?: string[];
}

export interface Suggested {
  specification: Specification;
  text: string;
  unique: boolean;
  share: number;
  reason: string;
}

export abstract class Panel {
  protected readonly rpc: Rpc;
  protected readonly body = h("div", { class: "panel-body" });
  private readonly message = h("div", { class: "message", role: "status" });
  private readonly listened: [string, () => void][] = [];

  constructor(
    protected readonly model: Model,
    protected readonly root: HTMLElement,
    title: string,
  ) {
    this.rpc = new Rpc(
      model,
      (busy) => this.message.classList.toggle("busy", busy),
      (changed) => this.changed(changed),
      () => showLost(root),
    );
    this.title.textContent = title;
    root.classList.add("panel");
    root.append(h("div", { class: "toolbar panel-head" }, this.title, h("span", { class: "spring" }), this.tools), this.body, h("div", { class: "statusbar" }, this.message));
  }

  protected readonly title = h("h1", { class: "title" });
  protected readonly tools = h("div", { class: "group" });

  abstract start(): Promise<void>;

  protected changed(_: Changed): void {}

  protected say(text: string, kind = ""): void {
    this.message.className = `message ${kind}`;
    this.message.textContent = text.split("\n")[0] ?? "";
    this.message.title = text;
  }

  /** Do something, and say what was refused; returns whether it was done. */
  protected async attempt(work: Promise<unknown>): Promise<boolean> {
    try {
      await work;
      return true;
    } catch (error) {
      if (error instanceof Refused && error.code === "closed") return false;
      this.say(error instanceof Error ? error.message : String(error), "bad");
      return false;
    }
  }

  /** Follow a trait that the kernel may set. */
  protected follow(trait: string, act: () => void): void {
    const event = `change:${trait}`;
    this.listened.push([event, act]);
    this.model.on(event, act);
  }

  /** Tell the kernel of a trait. */
  protected tell(trait: string, value: unknown): void {
    if (JSON.stringify(this.model.get(trait) ?? null) === JSON.stringify(value)) return;
    this.model.set(trait, value);
    this.model.save_changes();
  }

  lose(): void {
    this.rpc.lose();
  }

  destroy(): void {
    for (const [event, act] of this.listened) this.model.off(event, act);
    this.rpc.destroy();
  }
}

export function section(title: string, ...children: (Node | null)[]): HTMLElement {
  return h("section", { class: "part", "aria-label": title }, h("h2", { text: title }), ...children);
}

/** A column of which only the name, the type and the kind are known. */
export function plain(name: string, type: string, kind: Kind, key = 0): Column {
  return { name, label: name, type, kind, nullable: true, key, descending: false, computed: false, editable: false, categories: null, zone: null };
}

/** Rows of values under their columns; `head` may put something of its own below a name, `mark` names a class for a cell. */
export function table(
  label: string,
  columns: Column[],
  rows: Wire[][],
  how: { head?: (column: Column) => Node | null; mark?: (row: number, column: number) => string; lead?: { name: string; of: (row: number) => Node; kind: (row: number) => string } } = {},
): HTMLElement {
  const { head, mark, lead } = how;
  const heads = columns.map((column) =>
    h(
      "th",
      { scope: "col", class: look(column).join(" ") },
      h("div", { class: "name" }, column.name, column.key ? h("span", { class: "key", text: `key ${column.key}` }) : null),
      head ? head(column) : h("div", { class: "type", title: column.type, text: typeMark(column.type) }),
    ),
  );
  const digits = columns.map(({ kind }, i) => fraction(rows.map((row) => row[i]), kind));
  const lines = rows.map((row, at) =>
    h(
      "tr",
      { class: lead ? lead.kind(at) : "" },
      lead ? h("th", { scope: "row" }, lead.of(at)) : null,
      ...row.map((value, i) => {
        const column = columns[i] ?? plain("", "", "text");
        return h("td", { class: [...look(column), mark?.(at, i) ?? ""].join(" ").trim() }, cell(value, column, digits[i]));
      }),
    ),
  );
  return h(
    "div",
    { class: "sheet-table", role: "region", "aria-label": label, tabindex: "0" },
    h("table", {}, h("thead", {}, h("tr", {}, lead ? h("th", { scope: "col", text: lead.name }) : null, ...heads)), h("tbody", {}, ...lines)),
  );
}

/** Suggestions of keys with their reasons; a click takes one. */
export function suggestions(found: Suggested[], take: (one: Suggested) => void, chosen: (one: Suggested) => boolean): HTMLElement {
  if (!found.length) return h("p", { class: "muted", text: "No key is suggested." });
  return h(
    "ul",
    { class: "suggestions" },
    ...found.map((one) =>
      h(
        "li",
        {},
        h(
          "button",
          { type: "button", class: "suggestion", "aria-pressed": String(chosen(one)), on: { click: () => take(one) } },
          h("span", { class: "suggestion-head" }, h("b", { text: one.text }), h("span", { class: `badge ${one.unique ? "good" : ""}`, text: one.unique ? "unique" : `${(100 * one.share).toFixed(1)} % different` })),
          one.reason === "unique" ? null : h("span", { class: "reason", text: one.reason }),
        ),
      ),
    ),
  );
}

/** Whether two specifications order by the same fields. */
export function same(a: Specification | null, b: Specification | null): boolean {
  const told = (one: Specification | null): string => JSON.stringify(one?.fields.map(({ name, descending, nulls }) => [name, descending, nulls ?? "last"]) ?? null);
  return told(a) === told(b);
}
