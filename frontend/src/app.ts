/** The browser of stores: its layout, and what happens between its parts. */

import { Statusbar, Toolbar } from "./bars";
import { Blank } from "./blank";
import { copied, toClipboard, tsv, whole } from "./clipboard";
import { arranged, chooseColumns } from "./columns";
import { button, count, h, plural } from "./dom";
import { Edits, type Showing } from "./edits";
import { exportSheet } from "./exports";
import { BLOCK, Grid, type Owner } from "./grid";
import { largeEditor } from "./json";
import { showLost } from "./lost";
import { addRow, deleteRows, pasteRows } from "./rows";
import { type Changed, echo, type Model, Refused, Rpc } from "./rpc";
import { Search } from "./search";
import { Tree } from "./tree";
import { type Column, type Found, isCut, type Opened, type Order, type Page, type Query, type Row, type Schema, type Searched, type Store, type Wire } from "./wire";

/** Below so many pixels the stores lie over the grid; looks/narrow.css says so too. */
const NARROW = 680;
const PLAIN = { order: "", reverse: false, prefix: [], startswith: null, where: "", columns: null };
const EMPTY: Schema = { columns: [], orders: [], rows: 0, seq: 0 };

export class App implements Owner, Showing {
  private readonly rpc: Rpc;
  private readonly tree: Tree;
  private readonly toolbar: Toolbar;
  private readonly search: Search;
  private readonly status: Statusbar;
  private readonly grid: Grid;
  private readonly edits: Edits;
  private readonly main = h("div", { class: "main" });
  private readonly blank = new Blank();
  private opened: Opened | null = null;
  private schema = EMPTY;
  /** What is shown. */
  private query: Query = { store: "", ...PLAIN };
  /** What is to be shown, as soon as its first rows are there. */
  private wanted = this.query;
  private pages: { total: number | null; exact: boolean } = { total: null, exact: true };
  private asking = 0;
  /** Whether the schema is to be asked for again with the next rows that are shown. */
  private renewing = true;
  /** The numbers of the pages that were asked for last, and that came last. */
  private paging = { asked: 0, came: 0 };
  /** Whether rows are missing because the kernel did not bring them. */
  private torn = false;
  private opening = false;
  /** The newest commit that is shown, or whose showing goes on. */
  private seen = 0;
  private changing: Promise<unknown> = Promise.resolve();

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
      reverse: () => this.run(this.show({ reverse: !this.wanted.reverse })),
      columns: () => this.columns(),
      copy: () => this.run(this.copy()),
      exports: () => this.exports(),
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
      pending: () => this.run(this.edits.list()),
      commit: () => this.run(this.edits.list()),
      rollback: () => this.run(this.edits.askRollback()),
    });
    const place = h("div", { class: "grid" });
    this.main.append(place, this.blank.element);
    root.append(
      this.toolbar.element,
      this.search.element,
      h("div", { class: "middle" }, this.tree.element, this.main),
      this.status.element,
    );
    this.grid = new Grid(shadow, place, this);
    this.edits = new Edits(model, this.rpc, { root, main: this.main, grid: this.grid, status: this.status }, this);
    this.grid.onEdit((row, column, value) => this.run(this.edits.edit(row, column, value)));
    root.addEventListener("keydown", (event) => this.keyDown(event));
    for (const event of ["pointerdown", "focusin"]) root.addEventListener(event, ({ target }) => this.leave(target as Element));
    root.addEventListener("copy", (event) => this.copied(event));
    root.addEventListener("paste", (event) => this.pasted(event));
    model.on("change:store", this.storeChosen);
  }

  async start(): Promise<void> {
    this.blank.say("loading", "Opening…");
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
    if (store === null) this.blank.say("empty", "There are no stores yet", "db.load(name, frame) or db.create(name, ...) makes one.");
    else await this.show({ store, order: this.opened.order ?? "" });
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
    for (const dialog of this.root.querySelectorAll("dialog")) dialog.close();
    this.model.off("change:store", this.storeChosen);
    this.edits.destroy();
    this.rpc.destroy();
    this.grid.destroy();
  }

  // -- what the grid asks ---------------------------------------------------------------------------------------------------

  get store(): string {
    return this.query.store;
  }

  get editable(): boolean {
    return this.opened?.edit === true && this.model.get("edit") !== false;
  }

  async page(start: number, size: number): Promise<Page> {
    const { query } = this;
    const asked = ++this.paging.asked;
    try {
      const page = await this.rpc.search<Page>("page", { query, start, size }, () => query === this.query);
      if (query !== this.query) throw new Error("another question was asked since");
      if (page.columns.join("\n") !== this.names().join("\n")) {
        await this.compare(page.seq);
        throw new Error(`${query.store} has other columns now`);
      }
      if (asked > this.paging.came) {
        this.paging.came = asked;
        this.totals(page);
        this.showBlank(page);
      }
      if (this.torn) this.again();
      return page;
    } catch (error) {
      if (query === this.query) {
        this.torn = true;
        this.failed(error);
      }
      throw error;
    }
  }

  /** Ask again for the rows that did not come. */
  private again(): void {
    this.torn = false;
    setTimeout(() => this.grid.refresh());
  }

  focused(position: number, row: Row | null): void {
    if (this.torn && row === null && position >= 0) this.again();
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
    if (typeof store === "string" && store !== "" && store !== this.wanted.store) this.run(this.show({ store, order: "" }));
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
    if (this.order()?.fields[0]?.name === name) return this.run(this.show({ reverse: !this.wanted.reverse }));
    const order = this.schema.orders.find(({ fields: [first] }) => first?.name === name);
    if (order) this.run(this.show({ order: order.name, reverse: false }));
  }

  open(row: Row, column: Column): void {
    if (this.opening) return;
    this.opening = true;
    this.run(this.openLarge(row, column).finally(() => (this.opening = false)));
  }

  private async openLarge(row: Row, column: Column): Promise<void> {
    const { store } = this.query;
    const shown = row.cells[this.names().indexOf(column.name)];
    const value = isCut(shown) ? (await this.rpc.ask<{ value: Wire }>("value", { store, key: row.key, column: column.name })).value : (shown ?? null);
    if (store !== this.query.store) return;
    const editable = this.editable && column.editable;
    largeEditor(this.root, column, value === null || isCut(value) ? null : String(value), editable, async (given) => {
      try {
        await this.edits.send(store, row, column, given);
      } catch (error) {
        this.failed(error); // where the editor was closed meanwhile, nothing else says it
        throw error;
      }
    });
  }

  // -- what is shown --------------------------------------------------------------------------------------------------------

  /** Show another store, order or search. What is there stays until the first rows are; where they are refused, it stays. */
  private async show(patch: Partial<Query>, anew = false): Promise<void> {
    const wanted = this.wanted;
    if (patch.store === undefined && wanted.store !== this.query.store) return; // of a store that is about to be left
    const asking = ++this.asking;
    const fresh = anew || (patch.store !== undefined && patch.store !== wanted.store);
    const query: Query = { ...wanted, ...(fresh ? PLAIN : {}), ...patch };
    this.renewing ||= fresh;
    const known = !this.renewing && this.schema.orders.some(({ name }) => name === query.order);
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
      this.grid.leave(); // an edit of what is left
      const other = this.renewing;
      const columns = query.columns !== this.query.columns;
      this.renewing = false;
      this.torn = false;
      this.paging.came = this.paging.asked;
      this.query = query;
      this.schema = schema;
      this.root.classList.remove("tree-open", "unopened");
      this.toolbar.show(query.store, schema.orders, query.order, query.reverse, this.editable);
      this.toolbar.columns(first.columns.length, schema.columns.length);
      if (other && !query.prefix.length && query.startswith === null) this.search.empty();
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
      if (this.schema !== EMPTY) this.toolbar.show(this.query.store, this.schema.orders, this.query.order, this.query.reverse, this.editable);
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

  names(): string[] {
    return this.query.columns ?? this.pageColumns;
  }

  private pageColumns: string[] = [];

  private shownColumns(names: string[]): Column[] {
    this.pageColumns = names;
    return arranged(this.schema.columns, names, this.order()?.fields ?? []);
  }

  private totals({ total, exact, pending }: { total: number | null; exact: boolean; pending?: number }): void {
    this.pages = { total, exact };
    this.status.totals(total, exact);
    if (pending !== undefined) this.edits.told(pending);
  }

  private totalText(): string {
    const { total, exact } = this.pages;
    return total === null ? "All rows" : exact ? plural(total, "row") : `More than ${count(total)} rows`;
  }

  private showBlank(first: Page): void {
    const searched = this.query.where !== "" || this.query.prefix.length > 0 || this.query.startswith !== null;
    if (first.total !== 0) this.blank.hide();
    else if (searched) this.blank.say("nothing", "No rows fit the search", "", button("Clear the search", () => this.search.reset(), { icon: "close" }));
    else if (!this.editable) this.blank.say("empty", "No rows yet");
    else this.blank.say("empty", "No rows yet", "Add one, or paste some from a spreadsheet.", button("Add the first row", () => this.add(), { icon: "plus" }), button("Paste rows", () => this.paste(""), { icon: "paste" }));
  }

  private blankError(error: unknown): void {
    const again = button("Try again", () => this.run(this.start()));
    this.blank.fail("This cannot be shown", error instanceof Error ? error.message : String(error), again);
  }

  private async seek(key: Wire[]): Promise<void> {
    try {
      const { query } = this;
      const { position, found } = await this.place(key);
      if (query !== this.query) return;
      this.goto(position);
      this.search.say("");
      this.status.say(found ? `Found at row ${count(position + 1)}` : `Not found; row ${count(position + 1)} is the nearest after it`, found ? "good" : "news");
    } catch (error) {
      if (error instanceof Refused && error.code === "invalid") this.search.say(error.message, error.column ?? this.order()?.fields[0]?.name ?? null);
      else throw error;
    }
  }

  private place(key: (Wire | undefined)[]): Promise<Found> {
    const { query } = this;
    return this.rpc.search<Found>("seek", { query, key }, () => query === this.query);
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

  /** End the edit of a cell as Enter does, when something else than the grid is turned to. */
  private leave(target: Element): void {
    if (!target.closest(".grid, .ag-popup, dialog")) this.grid.leave();
  }

  /** Fetch what is shown anew. */
  async refresh(): Promise<void> {
    if (this.pages.total) this.grid.refresh();
    else await this.show({}); // there was nothing to fetch anew
  }

  private add(): void {
    const { store } = this.query;
    addRow(this.main, this.rpc, store, this.schema.columns, async (key, record) => {
      await this.edits.count();
      const values = (this.order()?.fields ?? []).map(({ name }) => record[name]);
      const place = store === this.query.store ? await this.placeOf(key, values) : null;
      if (place?.there) this.grid.goto(place.position);
      this.status.say("The row was added; it is pending", "good");
    });
  }

  /** Where the row with a key stands in what is shown, found by its values of the order, and whether it is there. */
  private async placeOf(key: string, values: (Wire | undefined)[]): Promise<{ position: number; there: boolean } | null> {
    const { query } = this;
    if (!values.length || values.some((value) => value === undefined || isCut(value))) return null;
    const { position } = await this.place(values);
    const { rows } = await this.rpc.search<Page>("page", { query, start: position, size: BLOCK }, () => query === this.query);
    const at = rows.findIndex((row) => row.key === key);
    return query === this.query ? { position: position + Math.max(0, at), there: at >= 0 } : null;
  }

  private exports(): void {
    exportSheet(this.main, this.rpc, () => ({ query: this.query, total: this.totalText() }), (said, kind) => this.status.say(said, kind));
  }

  private async remove(): Promise<void> {
    const chosen = this.grid.chosen();
    const focused = this.grid.row(this.grid.focusedPosition());
    const rows = chosen.length ? chosen : focused ? [focused] : [];
    if (!rows.length) return this.status.say("Select the rows to delete, or put the focus on one");
    if (!(await deleteRows(this.root, this.rpc, this.query.store, rows))) return;
    this.grid.choose([]);
    await this.edits.count();
    this.status.say(`${plural(rows.length, "row")} deleted, pending`, "good");
  }

  private paste(given: string): void {
    const key = this.schema.orders.find(({ name }) => name === "");
    pasteRows(this.main, this.rpc, this.query.store, this.schema.columns, key?.unique ?? true, given, () => this.edits.count());
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
    const shown = stores.includes(this.query.store);
    const same = shown && (await this.compare(seq));
    await this.stores();
    if (same) await this.inPlace();
    echo(this.model, "seq");
    await this.edits.redraw();
    if (shown) this.status.say(`Commit ${seq} changed ${stores.join(", ")}`, "news");
  }

  /** Await a commit that is made here: it is known before the kernel tells of it. Says whether others committed before it. */
  async committing(done: Promise<number>): Promise<{ seq: number; others: boolean }> {
    const known = done.then((seq) => {
      const others = seq > this.seen + 1;
      this.seen = Math.max(this.seen, seq);
      return { seq, others };
    });
    this.changing = Promise.allSettled([this.changing, known]);
    return known;
  }

  /** Show what is committed here; what others altered before it is told no more. */
  async committed(seq: number, others: boolean): Promise<void> {
    await this.refresh();
    if (others) await this.compare(seq);
    await this.stores();
  }

  /** Look whether the schema at a commit is still the one that is shown; show what there is instead if it is not. */
  private async compare(seq: number): Promise<boolean> {
    const { query } = this;
    const schema = await this.there(this.rpc.ask<Schema>("schema", { store: query.store }));
    if (!schema) {
      if (query.store === this.query.store) this.gone(seq);
      return false;
    }
    const { columns, orders } = schema;
    if (query.store !== this.query.store) return false; // another one is shown by now
    if (JSON.stringify([columns, orders]) === JSON.stringify([this.schema.columns, this.schema.orders])) return true;
    const order = orders.some(({ name }) => name === query.order) ? query.order : "";
    if (query.store === this.wanted.store) await this.show({ store: query.store, order }, true);
    return false;
  }

  /** Await what is asked of a store; null if the store is gone. */
  private async there<T>(asked: Promise<T>): Promise<T | null> {
    try {
      return await asked;
    } catch (error) {
      if (error instanceof Refused && error.code === "missing") return null;
      throw error;
    }
  }

  /** Say that the store that was shown is no more; the rows of another one with its name are shown when they come. */
  private gone(seq: number): void {
    this.renewing = true;
    this.totals({ total: 0, exact: true });
    this.grid.empty();
    this.blank.fail(`${this.query.store} is gone`, `It was dropped or renamed by commit ${seq}.`);
  }

  private async stores(): Promise<void> {
    const { stores } = (await this.there(this.rpc.ask<{ stores: Store[] }>("tree"))) ?? { stores: [] };
    if (this.opened) this.opened.stores = stores;
    this.tree.show(stores, { store: this.query.store, order: this.query.order });
  }

  /** Show what is new where the view is: the row that it is about stays where it was on the screen. */
  private async inPlace(): Promise<void> {
    const at = this.grid.focusedPosition();
    const { top, row: first } = this.grid.place();
    const row = this.grid.row(at) ?? first;
    const before = this.grid.row(at) ? at : top;
    const values = (this.order()?.fields ?? []).map(({ name }) => row?.cells[this.names().indexOf(name)]);
    const { query } = this;
    const place = row && before > 0 ? await this.placeOf(row.key, values) : null;
    if (query !== this.query) return; // shown anew meanwhile
    await this.refresh();
    this.grid.shift(place ? place.position - before : 0);
  }

  // -- keys and the clipboard -----------------------------------------------------------------------------------------------

  private keyDown(event: KeyboardEvent): void {
    const command = (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey;
    const inGrid = this.inGrid(event);
    if (command && event.key.toLowerCase() === "g") this.status.focusPosition();
    else if (command && event.key.toLowerCase() === "s" && this.editable) this.run(this.edits.toCommit());
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

  failed(error: unknown): void {
    if (error instanceof Refused && error.code === "closed") this.root.classList.add("closed");
    this.status.say(error instanceof Error ? error.message : String(error), "bad");
  }
}
