/** The stores of the database, and their indexes: counts, sizes, last commits. */

import { count, h, icon, size } from "./dom";
import type { Store } from "./wire";

export interface Chosen {
  store: string;
  order: string;
}

export class Tree {
  readonly element: HTMLElement;
  private readonly list = h("ul", { role: "tree", "aria-label": "Stores" });
  private stores: Store[] = [];
  private readonly open = new Set<string>();
  private current: Chosen | null = null;

  constructor(private readonly onChoose: (chosen: Chosen) => void) {
    this.element = h("nav", { class: "tree", "aria-label": "Stores of the database" }, this.list);
    this.list.addEventListener("keydown", (event) => this.keyDown(event));
  }

  show(stores: Store[], current: Chosen | null): void {
    this.stores = stores;
    if (current && current.store !== this.current?.store) this.open.add(current.store);
    this.current = current;
    this.draw();
  }

  private draw(): void {
    const focused = this.list.querySelector<HTMLElement>("[tabindex='0']:focus")?.dataset.id;
    this.list.replaceChildren(...this.stores.map((store) => this.item(store)));
    if (!this.stores.length) this.list.append(h("li", { role: "none", class: "none", text: "No stores yet" }));
    const items = this.items();
    const start = items.find((item) => item.dataset.id === focused) ?? items.find((item) => item.ariaSelected === "true") ?? items[0];
    start?.setAttribute("tabindex", "0");
    if (focused !== undefined) start?.focus();
  }

  private item(store: Store): HTMLElement {
    const chosen = this.current?.store === store.name;
    const open = this.open.has(store.name) && store.indexes.length > 0;
    const facts = [
      store.bytes === null ? "" : size(store.bytes),
      store.last_commit === null ? "" : `commit ${store.last_commit}`,
      store.changed ? ago(store.changed) : "",
    ].filter(Boolean);
    const fold = h("span", { class: `fold ${open ? "open" : ""} ${store.indexes.length ? "" : "bare"}`, on: { click: (event: Event) => this.fold(event, store) } }, icon("chevron"));
    return h(
      "li",
      {
        role: "treeitem",
        "data-id": store.name,
        "aria-selected": chosen && this.current?.order === "" ? "true" : "false",
        "aria-expanded": store.indexes.length ? String(open) : null,
        "aria-label": `${store.name}, ${count(store.rows)} rows, index ${store.index}`,
        tabindex: "-1",
        class: chosen ? "chosen" : "",
        on: { click: (event: Event) => this.choose(event, { store: store.name, order: "" }) },
      },
      h(
        "div",
        { class: "item" },
        h(
          "div",
          { class: "line" },
          fold,
          icon("stores"),
          h("span", { class: "name", title: store.name, text: store.name }),
          h("span", { class: "count", text: count(store.rows) }),
        ),
        h("div", { class: "keyed", title: `Key: ${store.index}`, text: store.index }),
        h("div", { class: "facts", title: `${facts.join(" · ")}${store.changed ? ` (${new Date(store.changed).toLocaleString()})` : ""}` }, ...facts.map((fact) => h("span", { text: fact }))),
      ),
      open && h("ul", { role: "group" }, ...store.indexes.map((index) => this.indexItem(store, index.name, index.index, index.unique))),
    );
  }

  private indexItem(store: Store, name: string, fields: string, unique: boolean): HTMLElement {
    const chosen = this.current?.store === store.name && this.current.order === name;
    return h(
      "li",
      {
        role: "treeitem",
        "data-id": `${store.name}\n${name}`,
        "aria-selected": String(chosen),
        "aria-label": `index ${name}: ${fields}${unique ? ", unique" : ""}`,
        title: `${name}: ${fields}${unique ? " (unique)" : ""}`,
        tabindex: "-1",
        class: `index ${chosen ? "chosen" : ""}`,
        on: { click: (event: Event) => this.choose(event, { store: store.name, order: name }) },
      },
      h("div", { class: "item line" }, icon("index"), h("span", { class: "name", text: name }), h("span", { class: "by", text: fields })),
    );
  }

  private choose(event: Event, chosen: Chosen): void {
    event.stopPropagation();
    this.onChoose(chosen);
  }

  private fold(event: Event, store: Store): void {
    event.stopPropagation();
    this.toggle(store.name, !this.open.has(store.name));
  }

  private toggle(name: string, open: boolean): void {
    if (open) this.open.add(name);
    else this.open.delete(name);
    this.draw();
  }

  private items(): HTMLElement[] {
    return [...this.list.querySelectorAll<HTMLElement>("[role=treeitem]")];
  }

  private keyDown(event: KeyboardEvent): void {
    const items = this.items();
    const at = items.findIndex((item) => item.matches(":focus"));
    const item = items[at];
    if (!item) return;
    const name = item.dataset.id ?? "";
    const to = (next: HTMLElement | undefined): void => {
      if (!next) return;
      item.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    };
    if (event.key === "ArrowDown") to(items[at + 1]);
    else if (event.key === "ArrowUp") to(items[at - 1]);
    else if (event.key === "Home") to(items[0]);
    else if (event.key === "End") to(items.at(-1));
    else if (event.key === "ArrowRight" && item.ariaExpanded === "false") this.toggle(name, true);
    else if (event.key === "ArrowRight") to(item.querySelector<HTMLElement>("[role=treeitem]") ?? undefined);
    else if (event.key === "ArrowLeft" && item.ariaExpanded === "true") this.toggle(name, false);
    else if (event.key === "ArrowLeft") to(item.parentElement?.closest<HTMLElement>("[role=treeitem]") ?? undefined);
    else if (event.key === "Enter" || event.key === " ") item.click();
    else return;
    event.preventDefault();
  }
}

/** How long ago, in one unit. */
export function ago(iso: string): string {
  const seconds = Math.max(0, (Date.now() - Date.parse(iso)) / 1000);
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 60) return "now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}
