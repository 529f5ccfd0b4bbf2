/** The browser of stores: its layout, and what happens between its parts. */

import { Statusbar, Toolbar } from "./bars";
import { copied, toClipboard, tsv, whole } from "./clipboard";
import { chooseColumns } from "./columns";
import { button, count, h, icon, plural } from "./dom";
import { exportSheet } from "./exports";
import { BLOCK, Grid, type Owner } from "./grid";
import { largeEditor } from "./json";
import { showLost } from "./lost";
import { pendingSheet, said } from "./pending";
import { addRow, deleteRows, pasteRows } from "./rows";
import { type Changed, echo, type Model, Refused, Rpc } from "./rpc";
import { Search } from "./search";
import { ask } from "./sheet";
import { Tree } from "./tree";
import { type Column, isCut, type Opened, type Order, type Page, type Query, type Row, type Schema, type Searched, type Store, type Wire } from "./wire";

interface Place extends Searched {
  position: number;
  found: boolean;
}

interface Edited {
  row: Row;
  pending: number;
}

/** Below so many pixels the stores lie over the grid; looks/narrow.css says so too. */
const NARROW = 680;
const PLAIN = { order: "", reverse: false, prefix: [], startswith: null, where: "", columns: null };
const EMPTY: Schema = { columns: [], orders: [], rows: 0, seq: 0 };

export class App implements Owner {
  private readonly rpc: Rpc;
  private readonly tree: Tree;
  private readonly toolbar: Toolbar;
  private readonly search: Search;
  private readonly status: Statusbar;
  private readonly grid: Grid;
  private readonly main = h("div", { class: "main" });
  private readonly blank = h("div", { class: "blank", role: "status" });
  private opened: Opened | null = null;
  private schema = EMPTY;
  /** What is shown. */
  private query: Query = { store: "", ...PLAIN };
  /** What is to be shown, as soon as its first rows are there. */
  private wanted = this.query;
  private pages: { total: number | null; exact: boolean } = { total: null, exact: true };
  private pending = 0;
  private asking = 0;
  /** The newest commit that is shown, or whose showing goes on. */
  private seen = 0;
  private changing: Promise<unknown> = Promise.resolve();
  private redrawPending: (() => Promise<void>) | null = null;

  constructor(
    private readonly model: Model,
    shadow: ShadowRoot,
    private readonly root: HTMLElement,
  ) {
    this.rpc = new Rpc(
      model,
      (busy) => this.busy(busy),
      (changed) => this.run(this.changed(changed)),
      () => showLost(root),
      (share) => this.status.say(share === null ? "" : `Searching… ${Math.floor(100 * share)} %`, share === null ? "" : "busy"),
    );
    this.tree = new Tree(({ store, order }) => this.run(this.show(store === this.query.store ? { order } : { store, order })));
    this.toolbar = new Toolbar({
      tree: () => root.classList.toggle(root.clientWidth > NARROW ? "tree-hidden" : "tree-open"),
      order: (order) => this.run(this.show({ order })),
      reverse: () => this.run(this.show({ reverse: !this.query.reverse })),
      columns: () => this.columns(),
      copy: () => this.run(this.copy()),
      exports: () => exportSheet(this.main, this.rpc, this.query, this.totalText()),
      add: () => this.add(),
      remove: () => this.run(this.remove()),
      paste: () => this.paste(""),
    });
    this.search = new Search(
      (sought, where) => this.run(this.show({ ...sought, where })),
      (key) => this.run(this.seek(key)),
    );
    this.status = new Statusbar({
      goto: (position) => this.goto(position),
      step: (by) => this.goto(Math.max(0, this.grid.focusedPosition()) + by),
      countAll: () => this.run(this.countAll()),
      pending: () => this.run(this.list()),
      commit: () => this.run(this.list()),
      rollback: () => this.run(this.askRollback()),
    });
    const place = h("div", { class: "grid" });
    this.main.append(place, this.blank);
    root.append(
      this.toolbar.element,
      this.search.element,
      h("div", { class: "middle" }, this.tree.element, this.main),
      this.status.element,
    );
    this.grid = new Grid(shadow, place, this);
    this.grid.onEdit((row, column, value) => this.run(this.edit(row, column, value)));
    root.addEventListener("keydown", (event) => this.keyDown(event));
    root.addEventListener("copy", (event) => this.copied(event));
    root.addEventListener("paste", (event) => this.pasted(event));
    model.on("change:store", this.storeChosen);
    model.on("change:pending", this.pendingElsewhere);
  }

  async start(): Promise<void> {
    this.say("loading", "Opening…");
    this.root.classList.add("unopened");
    try {
      this.opened = await this.rpc.ask<Opened>("open");
    } catch (error) {
      this.blankError(error);
      return;
    }
    const { stores, fixed, edit } = this.opened;
    const asked = stores.find(({ name }) => name === this.model.get("store"))?.name;
    const store = asked ?? this.opened.store;
    this.root.classList.toggle("fixed", fixed);
    this.root.classList.toggle("tree-hidden", stores.length <= 1 && store !== null);
    this.root.classList.toggle("read-only", !edit);
    this.tree.show(stores, store === null ? null : { store, order: "" });
    if (store === null) this.say("empty", "There are no stores yet", "db.load(name, frame) or db.create(name, ...) makes one.");
    else await this.show({ store, order: this.opened.order ?? "" });
    const waiting = this.model.get("pending");
    if (typeof waiting === "number") this.status.changes((this.pending = waiting)); // the page was loaded again
    this.seen = this.opened.seq;
    await this.watch();
  }

  /** Ask to be told of commits, and which came between opening and that. */
  private async watch(): Promise<void> {
    try {
      await this.rpc.ask("watch", { on: true });
      const { seq, stores } = await this.rpc.ask<{ seq: number; stores: string[] }>("poll", { seq: this.seen });
      if (stores.length) await this.changed({ event: "changed", seq, stores });
    } catch {
      // a view of the past, or a kernel that goes: what is shown stays as it is
    }
  }

  lose(): void {
    this.rpc.lose();
  }

  destroy(): void {
    this.model.off("change:store", this.storeChosen);
    this.model.off("change:pending", this.pendingElsewhere);
    this.rpc.destroy();
    this.grid.destroy();
  }

  // -- what the grid asks ---------------------------------------------------------------------------------------------------

  get editable(): boolean {
    return this.opened?.edit === true && this.model.get("edit") !== false;
  }

  async page(start: number, size: number): Promise<Page> {
    const { query } = this;
    try {
      const page = await this.rpc.search<Page>("page", { query, start, size }, () => query === this.query);
      if (query === this.query) this.totals(page);
      return page;
    } catch (error) {
      this.failed(error);
      throw error;
    }
  }

  focused(position: number, row: Row | null): void {
    this.status.at(position);
    this.trait("selection_key", row?.key ?? null);
  }

  chosen(rows: Row[]): void {
    this.toolbar.chosen(rows.length);
    this.trait("tokens", rows.map(({ key }) => key));
  }

  /** Tell the kernel what is shown or selected, where its widget has such a trait. */
  private trait(name: string, value: unknown): void {
    if (this.model.get(name) === undefined || JSON.stringify(this.model.get(name)) === JSON.stringify(value)) return;
    this.model.set(name, value);
    this.model.save_changes();
  }

  private readonly storeChosen = (): void => {
    const store = this.model.get("store");
    if (typeof store === "string" && store !== "" && store !== this.query.store) this.run(this.show({ store, order: "" }));
  };

  ordering({ name }: Column): { place: number; descending: boolean; leads: boolean } {
    const fields = this.order()?.fields ?? [];
    const at = fields.findIndex((field) => field.name === name);
    return {
      place: at + 1,
      descending: at >= 0 && fields[at]?.descending !== this.query.reverse,
      leads: this.schema.orders.some(({ fields: [first] }) => first?.name === name),
    };
  }

  orderBy({ name }: Column): void {
    if (this.order()?.fields[0]?.name === name) return this.run(this.show({ reverse: !this.query.reverse }));
    const order = this.schema.orders.find(({ fields: [first] }) => first?.name === name);
    if (order) this.run(this.show({ order: order.name, reverse: false }));
  }

  open(row: Row, column: Column): void {
    this.run(
      (async () => {
        const args = { store: this.query.store, key: row.key, column: column.name };
        const shown = row.cells[this.names().indexOf(column.name)];
        const value = isCut(shown) ? (await this.rpc.ask<{ value: Wire }>("value", args)).value : (shown ?? null);
        const editable = this.editable && column.editable;
        largeEditor(this.root, column, value === null || isCut(value) ? null : String(value), editable, async (given) => {
          await this.send(row, column, given);
        });
      })(),
    );
  }

  // -- what is shown --------------------------------------------------------------------------------------------------------

  /** Show another store, order or search. What is there stays until the first rows are; where they are refused, it stays. */
  private async show(patch: Partial<Query>, anew = false): Promise<void> {
    const asking = ++this.asking;
    const wanted = this.wanted;
    const other = anew || (patch.store !== undefined && patch.store !== wanted.store);
    const query: Query = { ...wanted, ...(other ? PLAIN : {}), ...patch };
    const known = !other && this.schema.orders.some(({ name }) => name === query.order);
    if (query.order !== wanted.order && !("prefix" in patch)) Object.assign(query, { prefix: [], startswith: null });
    const reordered = query.order !== this.query.order || query.reverse !== this.query.reverse;
    this.wanted = query;
    this.loading(true);
    try {
      const [schema, first] = await Promise.all([
        known ? this.schema : this.rpc.ask<Schema>("schema", { store: query.store }),
        this.rpc.search<Page>("page", { query, start: 0, size: BLOCK }, () => asking === this.asking),
      ]);
      if (asking !== this.asking) return; // another question came since
      const columns = query.columns !== this.query.columns;
      this.query = query;
      this.schema = schema;
      this.root.classList.remove("tree-open", "unopened");
      this.toolbar.show(query.store, schema.orders, query.order, query.reverse, this.editable);
      this.toolbar.columns(first.columns.length, schema.columns.length);
      if (other || reordered) this.search.setOrder(this.order() as Order, schema.columns, query.reverse);
      if (other) this.search.show(query.where);
      this.search.say("");
      this.totals(first);
      this.status.at(0);
      if (other || columns || reordered) this.grid.setColumns(this.shownColumns(first.columns), first);
      this.grid.refresh(first);
      if (!other) this.grid.headersChanged();
      this.showBlank(first);
      if (this.opened) this.tree.show(this.opened.stores, { store: query.store, order: query.order });
      this.trait("store", query.store);
      this.status.say("");
    } catch (error) {
      if (asking !== this.asking) return;
      this.wanted = this.query;
      const searched = "prefix" in patch || "where" in patch;
      if (error instanceof Refused && error.code === "invalid" && searched) this.search.say(error.message, error.column);
      else if (this.schema === EMPTY) this.blankError(error);
      else this.failed(error);
    } finally {
      if (asking === this.asking) this.loading(false);
    }
  }

  private loading(loading: boolean): void {
    this.root.classList.toggle("loading", loading);
    this.main.setAttribute("aria-busy", String(loading));
  }

  private order(): Order | undefined {
    return this.schema.orders.find(({ name }) => name === this.query.order);
  }

  private names(): string[] {
    return this.query.columns ?? this.pageColumns;
  }

  private pageColumns: string[] = [];

  /** The columns of a page: those of the order first, then those of the key. */
  private shownColumns(names: string[]): Column[] {
    this.pageColumns = names;
    const by = new Map(this.schema.columns.map((column) => [column.name, column]));
    const shown = names.flatMap((name) => by.get(name) ?? []);
    const fields = (this.order()?.fields ?? []).map(({ name }) => name);
    const rank = ({ name, key }: Column): number => (fields.includes(name) ? fields.indexOf(name) : key ? fields.length + key : Infinity);
    return shown.sort((a, b) => (rank(a) === rank(b) ? 0 : rank(a) - rank(b)));
  }

  private totals({ total, exact }: { total: number | null; exact: boolean }): void {
    this.pages = { total, exact };
    this.status.totals(total, exact);
  }

  private totalText(): string {
    const { total, exact } = this.pages;
    return total === null ? "All rows" : exact ? plural(total, "row") : `More than ${count(total)} rows`;
  }

  private showBlank(first: Page): void {
    const searched = this.query.where !== "" || this.query.prefix.length > 0 || this.query.startswith !== null;
    if (first.total !== 0) this.say("", "");
    else if (searched) this.say("nothing", "No rows fit the search", "", button("Clear the search", () => this.search.reset(), { icon: "close" }));
    else if (!this.editable) this.say("empty", "No rows yet");
    else this.say("empty", "No rows yet", "Add one, or paste some from a spreadsheet.", button("Add the first row", () => this.add(), { icon: "plus" }), button("Paste rows", () => this.paste(""), { icon: "paste" }));
  }

  /** Say something in the place of rows; "" shows the rows. */
  private say(kind: string, title: string, more = "", ...next: HTMLElement[]): void {
    this.blank.className = `blank ${kind}`;
    this.blank.hidden = title === "";
    this.blank.replaceChildren(
      ...(title ? [h("p", { class: "blank-title", text: title })] : []),
      ...(more ? [h("p", { text: more })] : []),
      ...(next.length ? [h("div", { class: "group" }, ...next)] : []),
    );
  }

  private blankError(error: unknown): void {
    this.say("error", "This cannot be shown", error instanceof Error ? error.message : String(error));
    this.blank.prepend(icon("warning"));
    this.blank.append(h("div", { class: "group" }, button("Try again", () => this.run(this.start()))));
  }

  private async seek(key: Wire[]): Promise<void> {
    try {
      const { position, found } = await this.place(key);
      this.goto(position);
      this.search.say("");
      this.status.say(found ? `Found at row ${count(position + 1)}` : `Not found; row ${count(position + 1)} is the nearest after it`, found ? "good" : "news");
    } catch (error) {
      if (error instanceof Refused && error.code === "invalid") this.search.say(error.message, error.column ?? this.order()?.fields[0]?.name ?? null);
      else throw error;
    }
  }

  private place(key: (Wire | undefined)[]): Promise<Place> {
    const { query } = this;
    return this.rpc.search<Place>("seek", { query, key }, () => query === this.query);
  }

  /** Go to a row, at most to the last, if there are any. */
  private goto(position: number): void {
    const { total } = this.pages;
    if (total) this.grid.goto(Math.min(position, total - 1));
  }

  private async countAll(): Promise<void> {
    const { query } = this;
    const { total } = await this.rpc.search<{ total: number } & Searched>("count", { query }, () => query === this.query);
    if (query !== this.query) return;
    this.totals({ total, exact: true });
    this.status.say(plural(total, "row"));
  }

  private columns(): void {
    const { schema } = this;
    chooseColumns(this.main, schema.columns, this.query.columns ?? this.pageColumns, (columns) => this.show({ columns }));
  }

  // -- editing --------------------------------------------------------------------------------------------------------------

  private async edit(row: Row, column: Column, value: Wire): Promise<void> {
    try {
      await this.send(row, column, value);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.code === "invalid") {
        this.grid.restore(row, { column: column.name, text: value === null ? "" : String(value), message: error.message });
        this.status.say(error.message, "bad");
      } else throw error;
    }
  }

  /** Send an edit; where others changed the row since, both values are shown and the user decides. */
  private async send(row: Row, column: Column, value: Wire): Promise<void> {
    const args = { store: this.query.store, key: row.key, column: column.name, value, columns: this.names() };
    try {
      await this.edited(await this.rpc.ask<Edited>("edit", { ...args, seq: row.seq }));
    } catch (error) {
      if (!(error instanceof Refused) || error.code !== "stale") throw error;
      if (!(await this.decide(column, error))) {
        await this.refresh();
        return;
      }
      await this.edited(await this.rpc.ask<Edited>("edit", { ...args, seq: error.details.seq }));
    }
  }

  private async edited({ row, pending }: Edited): Promise<void> {
    this.grid.restore(row);
    this.status.say("");
    await this.changes({ pending });
  }

  /** Show my value and theirs; says whether mine is to be written over theirs. */
  private async decide(column: Column, stale: Refused): Promise<boolean> {
    const { mine, theirs, gone, seq } = stale.details as { mine: Wire; theirs: Wire; gone: boolean; seq: number };
    const choices = [{ label: gone ? "Close" : "Keep theirs", value: "theirs" }];
    if (!gone) choices.push({ label: "Use mine", value: "mine" });
    const answer = await ask(
      this.root,
      "Somebody else changed this row",
      [
        h("p", { text: gone ? "It was deleted since you saw it. Nothing of yours was written." : `Commit ${seq} changed it since you saw it. Nothing was overwritten.` }),
        h("dl", { class: "difference" }, h("dt", { text: column.label }), h("dd", {}, "yours ", said(mine, "mine", column.kind), h("br"), "theirs ", said(theirs, "theirs", column.kind))),
      ],
      choices,
    );
    return answer === "mine";
  }

  /** Something is pending, or no more: tell how much, and show it. */
  private async changes({ pending }: { pending?: number }): Promise<void> {
    this.pending = pending ?? 0;
    this.status.changes(this.pending);
    echo(this.model, "pending", "seq");
    await this.redrawPending?.();
    await this.refresh();
  }

  private async refresh(): Promise<void> {
    if (this.pages.total) this.grid.refresh();
    else await this.show({}); // there was nothing to fetch anew
  }

  private add(): void {
    addRow(this.main, this.rpc, this.query.store, this.schema.columns, async (position) => {
      await this.pendingCount();
      if (position !== null) this.grid.goto(position);
      this.status.say("The row was added; it is pending", "good");
    });
  }

  private async remove(): Promise<void> {
    const chosen = this.grid.chosen();
    const focused = this.grid.row(this.grid.focusedPosition());
    const rows = chosen.length ? chosen : focused ? [focused] : [];
    if (!rows.length) return this.status.say("Select the rows to delete, or put the focus on one");
    if (!(await deleteRows(this.root, this.rpc, this.query.store, rows))) return;
    this.grid.choose([]);
    await this.pendingCount();
    this.status.say(`${plural(rows.length, "row")} deleted, pending`, "good");
  }

  private paste(given: string): void {
    const key = this.schema.orders.find(({ name }) => name === "");
    pasteRows(this.main, this.rpc, this.query.store, this.schema.columns, key?.unique ?? true, given, () => this.pendingCount());
  }

  private async list(): Promise<void> {
    this.redrawPending = await pendingSheet(this.main, {
      rpc: this.rpc,
      commit: (message) => this.commit(message),
      rollback: () => this.rollback(),
      decided: () => this.pendingCount(),
      failed: (error) => this.failed(error),
      closed: () => {
        this.redrawPending = null;
      },
    });
  }

  private async toCommit(): Promise<void> {
    if (this.pending) await this.list();
    else this.status.say("Nothing is pending");
  }

  private async commit(message: string): Promise<void> {
    try {
      const done = this.rpc.ask<{ seq: number }>("commit", { message }).then(({ seq }) => {
        this.seen = Math.max(this.seen, seq);
        return seq;
      });
      this.changing = Promise.allSettled([this.changing, done]); // the kernel may tell of it, as of any commit, before it answers
      const seq = await done;
      this.status.say(`Committed as ${seq}`, "good");
    } catch (error) {
      await this.pendingCount();
      throw error;
    }
    this.redrawPending = null;
    await this.changes({ pending: 0 });
    await this.stores();
  }

  private async rollback(): Promise<void> {
    await this.rpc.ask("rollback");
    this.redrawPending = null;
    await this.changes({ pending: 0 });
    this.status.say("The pending changes are forgotten");
  }

  private async askRollback(): Promise<void> {
    const what = plural(this.pending, "pending change");
    const answer = await ask(
      this.root,
      `Forget ${what}?`,
      [h("p", { text: "They cannot be brought back." })],
      [
        { label: "Keep them", value: "" },
        { label: "Roll back", value: "roll back", class: "danger" },
      ],
    );
    if (answer) await this.rollback();
  }

  /** Another page that shows this widget changed something. */
  private readonly pendingElsewhere = (): void => {
    const pending = this.model.get("pending");
    if (typeof pending === "number" && pending !== this.pending && !this.rpc.waiting) this.run(this.changes({ pending }));
  };

  private async pendingCount(): Promise<void> {
    const { changes } = await this.rpc.ask<{ changes: unknown[] }>("pending");
    await this.changes({ pending: changes.length });
  }

  // -- what others do -------------------------------------------------------------------------------------------------------

  /** Show what others committed, one commit after the other. */
  private changed(changed: Changed): Promise<unknown> {
    this.changing = this.changing.then(() => this.showChanged(changed)).catch((error: unknown) => this.failed(error));
    return this.changing;
  }

  private async showChanged({ seq, stores }: Changed): Promise<void> {
    if (seq <= this.seen) return;
    this.seen = seq;
    await this.stores();
    if (!stores.includes(this.query.store)) return;
    const schema = await this.rpc.ask<Schema>("schema", { store: this.query.store });
    const same = JSON.stringify([schema.columns, schema.orders]) === JSON.stringify([this.schema.columns, this.schema.orders]);
    if (same) await this.inPlace();
    else {
      const { store, order } = this.wanted;
      const there = schema.orders.some(({ name }) => name === order);
      await this.show({ store, order: there ? order : "" }, true);
    }
    echo(this.model, "seq");
    await this.redrawPending?.();
    this.status.say(`Commit ${seq} changed ${stores.join(", ")}`, "news");
  }

  private async stores(): Promise<void> {
    const { stores } = await this.rpc.ask<{ stores: Store[] }>("tree");
    if (this.opened) this.opened.stores = stores;
    this.tree.show(stores, { store: this.query.store, order: this.query.order });
  }

  /** Show what is new where the view is: the row that it is about stays where it was on the screen. */
  private async inPlace(): Promise<void> {
    const at = this.grid.focusedPosition();
    const { top, row: first } = this.grid.place();
    const row = this.grid.row(at) ?? first;
    const before = this.grid.row(at) ? at : top;
    const key = (this.order()?.fields ?? []).map(({ name }) => row?.cells[this.names().indexOf(name)]);
    let by = 0;
    if (row && before > 0 && key.length && key.every((value) => value !== undefined && !isCut(value))) {
      const { position } = await this.place(key);
      const { rows } = await this.page(position, BLOCK);
      by = position + Math.max(0, rows.findIndex(({ key }) => key === row.key)) - before;
    }
    await this.refresh();
    if (by) this.grid.shift(by);
  }

  // -- keys and the clipboard -----------------------------------------------------------------------------------------------

  private keyDown(event: KeyboardEvent): void {
    const command = (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey;
    const inGrid = this.inGrid(event);
    if (command && event.key.toLowerCase() === "g") this.status.focusPosition();
    else if (command && event.key.toLowerCase() === "s" && this.editable) this.run(this.toCommit());
    else if (command && event.key.toLowerCase() === "f" && !(event.target as Element).closest("dialog")) this.search.focus();
    else if (command && inGrid && event.key === "Home") this.goto(0);
    else if (command && inGrid && event.key === "End") this.goto(Infinity);
    else if (event.key === "Delete" && inGrid && this.editable && !this.grid.editing) this.run(this.remove());
    else return;
    event.preventDefault();
  }

  private inGrid(event: Event): boolean {
    const target = event.target as Element;
    return target.closest(".grid") !== null && !target.matches("input, textarea, select");
  }

  private copied(event: ClipboardEvent): void {
    if (!this.inGrid(event)) return;
    const found = copied(this.grid, this.names());
    event.preventDefault();
    if (found.whole && event.clipboardData) {
      event.clipboardData.setData("text/plain", tsv(found.cells));
      this.status.say(found.told, "good");
    } else this.run(this.copy());
  }

  private async copy(): Promise<void> {
    const found = copied(this.grid, this.names());
    if (!found.rows.length) return this.status.say("Select the rows to copy, or put the focus on one");
    await toClipboard(this.root, tsv(await whole(found, this.rpc, this.query.store)));
    this.status.say(found.told, "good");
  }

  private pasted(event: ClipboardEvent): void {
    if (!this.inGrid(event) || !this.editable) return;
    event.preventDefault();
    this.paste(event.clipboardData?.getData("text/plain") ?? "");
  }

  // -- failing --------------------------------------------------------------------------------------------------------------

  private busy(busy: boolean): void {
    this.root.classList.toggle("busy", busy);
    this.status.busy(busy);
  }

  private run(done: Promise<unknown>): void {
    done.catch((error: unknown) => this.failed(error));
  }

  private failed(error: unknown): void {
    if (error instanceof Refused && error.code === "closed") this.root.classList.add("closed");
    this.status.say(error instanceof Error ? error.message : String(error), "bad");
  }
}
