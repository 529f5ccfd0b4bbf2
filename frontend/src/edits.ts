/** What is edited and waits: cells are sent, what is pending is listed, committed and rolled back, what others changed is decided. */

import type { Statusbar } from "./bars";
import { h, plural } from "./dom";
import type { Grid } from "./grid";
import { pendingSheet, said } from "./pending";
import { echo, type Model, Refused, type Rpc } from "./rpc";
import { ask } from "./sheet";
import type { Column, Row, Wire } from "./wire";

/** What the edits ask of and tell to what shows the rows. */
export interface Showing {
  /** The store that is shown. */
  readonly store: string;
  /** The columns of the cells of its rows. */
  names(): string[];
  refresh(): Promise<void>;
  /** All that is pending is being committed; answers whether others committed before. */
  committing(done: Promise<number>): Promise<{ seq: number; others: boolean }>;
  committed(seq: number, others: boolean): Promise<void>;
  failed(error: unknown): void;
}

/** The parts of the page that edits are seen in. */
interface Parts {
  root: HTMLElement;
  main: HTMLElement;
  grid: Grid;
  status: Statusbar;
}

interface Edited {
  row: Row;
  columns: string[];
  pending: number;
}

/** After these an edit cannot be made, however it is mended. */
const NO_MORE = new Set(["closed", "missing", "locked"]);

export class Edits {
  private readonly root: HTMLElement;
  private readonly main: HTMLElement;
  private readonly grid: Grid;
  private readonly status: Statusbar;
  private pending = 0;
  /** The commits that were made here. */
  private readonly own = new Set<number>();
  /** The last commit that was made here, until its number is known. */
  private committing: Promise<unknown> = Promise.resolve();
  /** What draws the list of pending changes, while it is open. */
  private drawn: (() => Promise<void>) | null = null;

  constructor(
    private readonly model: Model,
    private readonly rpc: Rpc,
    { root, main, grid, status }: Parts,
    private readonly shown: Showing,
  ) {
    this.root = root;
    this.main = main;
    this.grid = grid;
    this.status = status;
    model.on("change:pending", this.elsewhere);
  }

  destroy(): void {
    this.model.off("change:pending", this.elsewhere);
  }

  /** Take what an answer says of how much is pending. */
  told(pending: number): void {
    this.pending = pending;
    this.status.changes(pending);
  }

  /** Draw the list of pending changes anew, if it is open. */
  async redraw(): Promise<void> {
    await this.drawn?.();
  }

  /** Send what was typed into a cell; where it is not taken, it stays there with the reason. */
  async edit(row: Row, column: Column, value: Wire): Promise<void> {
    const { store } = this.shown;
    try {
      await this.send(store, row, column, value);
    } catch (error) {
      this.shown.failed(error);
      if (!(error instanceof Refused) || NO_MORE.has(error.code) || store !== this.shown.store) return;
      this.grid.restore(row, { column: column.name, text: value === null ? "" : String(value), message: error.message });
    }
  }

  /** Send an edit; where others changed the row since, both values are shown and the user decides. */
  async send(store: string, row: Row, column: Column, value: Wire): Promise<void> {
    const columns = store === this.shown.store ? { columns: this.shown.names() } : {};
    const args = { store, key: row.key, column: column.name, value, ...columns };
    for (let { seq } = row; ; ) {
      try {
        await this.edited(store, await this.rpc.ask<Edited>("edit", { ...args, seq }));
        return;
      } catch (error) {
        if (!(error instanceof Refused) || error.code !== "stale" || error.details.seq === seq) throw error;
        const now = Number(error.details.seq);
        await this.committing; // it may have made the row what it is
        if (!this.own.has(now) && !(await this.decide(column, error))) {
          await this.shown.refresh();
          return;
        }
        seq = now;
      }
    }
  }

  private async edited(store: string, { row, columns, pending }: Edited): Promise<void> {
    if (store === this.shown.store && columns.join("\n") === this.shown.names().join("\n")) this.grid.restore(row);
    this.status.say("");
    await this.changed(pending);
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
  private async changed(pending: number): Promise<void> {
    this.told(pending);
    echo(this.model, "pending", "seq");
    await this.redraw();
    await this.shown.refresh();
  }

  /** Open the list of what is pending. */
  async list(): Promise<void> {
    const draw = pendingSheet(this.main, {
      rpc: this.rpc,
      commit: (message) => this.commit(message),
      rollback: () => this.rollback(),
      decided: () => this.count(),
      failed: (error) => this.shown.failed(error),
      closed: () => {
        if (this.drawn === draw) this.drawn = null;
      },
    });
    this.drawn = draw;
    await draw();
  }

  /** Open the list, if there is anything on it. */
  async toCommit(): Promise<void> {
    const { editing } = this.grid;
    this.grid.leave();
    if (this.pending || editing) await this.list();
    else this.status.say("Nothing is pending");
  }

  private async commit(message: string): Promise<void> {
    const done = this.rpc.ask<{ seq: number }>("commit", { message }).then(({ seq }) => {
      this.own.add(seq);
      return seq;
    });
    this.committing = done.catch(() => {});
    const { seq, others } = await this.shown.committing(done).catch(async (error: unknown) => {
      await this.count();
      throw error;
    });
    this.drawn = null;
    this.told(0);
    echo(this.model, "pending", "seq");
    await this.shown.committed(seq, others);
    this.status.say(`Committed as ${seq}`, "good");
  }

  private async rollback(): Promise<void> {
    await this.rpc.ask("rollback");
    this.drawn = null;
    await this.changed(0);
    this.status.say("The pending changes are forgotten");
  }

  /** Forget what is pending, after asking. */
  async askRollback(): Promise<void> {
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
  private readonly elsewhere = (): void => {
    const pending = this.model.get("pending");
    if (this.rpc.waiting) this.rpc.whenIdle(this.elsewhere); // this page may have changed it itself
    else if (typeof pending === "number" && pending !== this.pending) this.changed(pending).catch((error: unknown) => this.shown.failed(error));
  };

  /** Ask how much is pending, and show it. */
  async count(): Promise<void> {
    const { changes } = await this.rpc.ask<{ changes: unknown[] }>("pending");
    await this.changed(changes.length);
  }
}
