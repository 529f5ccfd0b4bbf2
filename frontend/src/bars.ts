/** The bar above the grid, with what can be done, and the one below it, with where one is and what is pending. */

import { button, count, h, type Icon, icon, plural, rename } from "./dom";
import type { Order } from "./wire";

export interface Acts {
  tree(): void;
  order(name: string): void;
  reverse(): void;
  columns(): void;
  copy(): void;
  exports(): void;
  add(): void;
  remove(): void;
  paste(): void;
}

/** What can be done with the store that is shown. */
export class Toolbar {
  readonly element: HTMLElement;
  private readonly title = h("h1", { class: "title" });
  private readonly order: HTMLSelectElement;
  private readonly direction: HTMLButtonElement;
  private readonly toColumns: HTMLButtonElement;
  private readonly remove: HTMLButtonElement;
  private readonly editing: HTMLElement;

  constructor(acts: Acts) {
    this.order = h("select", { "aria-label": "Order of the rows", on: { change: () => acts.order(this.order.value) } });
    this.direction = button("Reverse", acts.reverse, { icon: "up", bare: true, class: "direction" });
    this.toColumns = button("Columns", acts.columns, { icon: "columns" });
    this.remove = button("Delete", acts.remove, { icon: "trash", title: "Delete the selected rows (Delete)" });
    this.editing = h(
      "div",
      { class: "group editing", role: "group", "aria-label": "Editing" },
      button("Add row", acts.add, { icon: "plus" }),
      this.remove,
      button("Paste", acts.paste, { icon: "paste", title: "Paste rows from a spreadsheet (Ctrl+V)" }),
    );
    this.element = h(
      "div",
      { class: "toolbar", role: "toolbar", "aria-label": "Store" },
      button("Stores", acts.tree, { icon: "stores", bare: true, class: "quiet tree-toggle", title: "Show or hide the stores" }),
      this.title,
      h("div", { class: "group order" }, h("label", { class: "caption" }, "Order", this.order), this.direction),
      h("div", { class: "spring" }),
      this.editing,
      h(
        "div",
        { class: "group", role: "group", "aria-label": "View" },
        this.toColumns,
        button("Copy", acts.copy, { icon: "copy", title: "Copy the selected rows as tab separated text (Ctrl+C)" }),
        button("Export", acts.exports, { icon: "export", title: "To a DataFrame, CSV or Parquet" }),
      ),
    );
  }

  show(store: string, orders: Order[], order: string, reverse: boolean, editable: boolean): void {
    this.title.textContent = store;
    this.title.title = store;
    this.editing.hidden = !editable;
    this.order.replaceChildren(
      ...orders.map(({ name, fields, unique }) =>
        h("option", {
          value: name,
          text: `${name || "key"}: ${fields.map((field) => `${field.name} ${field.descending ? "↓" : "↑"}`).join(", ")}${name && unique ? " (unique)" : ""}`,
        }),
      ),
    );
    this.order.value = order;
    this.direction.setAttribute("aria-pressed", String(reverse));
    this.direction.title = reverse ? "The order is reversed; put it back" : "Reverse the order";
    this.direction.setAttribute("aria-label", "Reverse the order");
    this.direction.replaceChildren(icon(reverse ? "down" : "up"), icon(reverse ? "up" : "down"));
  }

  columns(shown: number, all: number): void {
    rename(this.toColumns, shown === all ? "Columns" : `Columns ${shown} of ${all}`);
  }

  chosen(rows: number): void {
    rename(this.remove, rows > 0 ? `Delete ${count(rows)}` : "Delete");
  }
}

export interface Moves {
  goto(position: number): void;
  /** How far from where the focus is. */
  step(by: number): void;
  countAll(): void;
  pending(): void;
  commit(): void;
  rollback(): void;
}

type Kind = "" | "good" | "bad" | "busy" | "news";

interface Said {
  message: string;
  kind: Kind;
}

const BUSY: Said = { message: "The kernel is busy…", kind: "busy" };

/** Where one is, what is going on, what is pending. */
export class Statusbar {
  readonly element: HTMLElement;
  private readonly message = h("div", { class: "message", role: "status", "aria-live": "polite" });
  private readonly position: HTMLInputElement;
  private readonly of = h("span", { class: "of" });
  private readonly countAll: HTMLButtonElement;
  private readonly pending = h("div", { class: "group pending", role: "group", "aria-label": "Pending changes" });
  private readonly list: HTMLButtonElement;
  private readonly steps: HTMLButtonElement[];
  private total = 0;
  private said: Said = { message: "", kind: "" };
  private isBusy = false;

  constructor(private readonly moves: Moves) {
    this.position = h("input", {
      type: "text",
      inputmode: "numeric",
      class: "position",
      "aria-label": "Go to row",
      title: "Go to row (Ctrl+G)",
      autocomplete: "off",
      on: { keydown: (event: KeyboardEvent) => event.key === "Enter" && this.go() },
    });
    this.countAll = button("Count all", moves.countAll, { class: "quiet" });
    this.list = button("Changes", moves.pending, { title: "See the pending changes" });
    this.pending.append(
      this.list,
      button("Roll back", moves.rollback, { title: "Forget the pending changes" }),
      button("Commit", moves.commit, { class: "primary", title: "Commit the pending changes (Ctrl+S)" }),
    );
    this.pending.hidden = true;
    this.countAll.hidden = true;
    const to = (label: string, drawn: Icon, act: () => void, title = label): HTMLButtonElement => button(label, act, { icon: drawn, bare: true, class: "quiet", title });
    const first = to("First row", "first", () => moves.goto(0), "First row (Ctrl+Home)");
    const previous = to("Previous row", "previous", () => moves.step(-1));
    const next = to("Next row", "next", () => moves.step(1));
    const last = to("Last row", "last", () => moves.goto(this.total - 1), "Last row (Ctrl+End)");
    this.steps = [first, previous, next, last];
    this.element = h(
      "div",
      { class: "statusbar" },
      h(
        "div",
        { class: "group moves", role: "group", "aria-label": "Rows" },
        first,
        previous,
        h("label", { class: "where" }, "Row ", this.position, this.of),
        next,
        last,
        this.countAll,
      ),
      this.message,
      this.pending,
    );
  }

  /** The total under the search, and whether it is all. */
  totals(total: number | null, exact: boolean): void {
    this.total = total ?? 0;
    this.of.textContent = total === null ? "" : ` of ${count(total)}${exact ? "" : "+"}`;
    this.countAll.hidden = exact;
    for (const each of [this.position, ...this.steps]) each.disabled = total === 0;
    if (total === 0) this.position.value = "";
  }

  at(position: number): void {
    if (!this.position.matches(":focus")) this.position.value = position < 0 || this.total === 0 ? "" : count(position + 1);
  }

  focusPosition(): void {
    this.position.focus();
    this.position.select();
  }

  say(message: string, kind: Kind = ""): void {
    this.said = { message, kind };
    this.draw();
  }

  /** Say that the kernel is busy as long as it is; what was said before is there again after it. */
  busy(busy: boolean): void {
    this.isBusy = busy;
    this.draw();
  }

  private draw(): void {
    const { message, kind } = this.isBusy ? BUSY : this.said;
    this.message.className = `message ${kind}`;
    this.message.textContent = message.split("\n")[0] ?? "";
    this.message.title = message;
  }

  changes(pending: number): void {
    this.pending.hidden = pending === 0;
    (this.list.lastChild as HTMLElement).textContent = plural(pending, "change");
  }

  private go(): void {
    const given = this.position.value.replace(/[\s,_.']/g, "");
    if (!/^\d+$/.test(given) || Number(given) < 1) {
      this.position.setAttribute("aria-invalid", "true");
      this.say(`Rows are numbered from 1${this.total ? ` to ${count(this.total)}` : ""}`, "bad");
      return;
    }
    this.position.removeAttribute("aria-invalid");
    this.position.blur();
    if (Number(given) > this.total) this.say(`There are ${plural(this.total, "row")}; this is the last`);
    this.moves.goto(Math.min(Number(given), this.total) - 1);
  }
}
