/** Questions to the kernel and their answers: one request, one answer, by id. */

import type { Searched } from "./wire";

/** The part of an anywidget model that is used; a web page brings its own. */
export interface Model {
  send(message: unknown): void;
  on(event: string, callback: (...given: never[]) => void): void;
  off(event: string, callback: (...given: never[]) => void): void;
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
}

/** Say again what the kernel has set: marimo runs the cells that use a widget when its page sets something. To Jupyter nothing is sent. */
export function echo(model: Model, ...names: string[]): void {
  for (const name of names) if (model.get(name) !== undefined) model.set(name, model.get(name));
  model.save_changes();
}

export class Refused extends Error {
  constructor(
    readonly code: string,
    message: string,
    /** What else the answer says: column, row, mine, theirs, seq. */
    readonly details: Record<string, unknown>,
  ) {
    super(message);
  }

  get column(): string | null {
    return typeof this.details.column === "string" ? this.details.column : null;
  }
}

export interface Changed {
  event: "changed";
  seq: number;
  stores: string[];
}

/** How far work is. */
export interface Far {
  what: string;
  done: number;
  total: number | null;
}

interface Asked {
  settle: (answer: { ok?: unknown; error?: Record<string, unknown> }) => void;
}

const TIMEOUT = 60_000;
const BUSY = 1_000;
const CLOSED = "the view was closed";
/** How often the kernel is asked how far work is, in milliseconds. */
const PACE = 300;
const LOST = "the kernel is gone";
/** These may be asked twice. */
const READS = new Set(["open", "tree", "schema", "page", "seek", "count", "value", "pending", "poll", "watch", "log", "diff", "progress", "cancel"]);
/** These take as long as the data is large. */
const LONG = new Set(["export", "index.sample", "index.check", "index.create", "suggest", "import.preview", "import.run", "revert"]);

export class Rpc {
  private readonly asked = new Map<number, Asked>();
  // the answers of a kernel reach every page that shows the widget: ids of two pages must not meet
  private next = Math.floor(Math.random() * 2 ** 40) * 2 ** 10;
  private late = 0;
  private gone = false;
  private closed = false;
  private readonly idle = new Set<() => void>();

  constructor(
    private readonly model: Model,
    private readonly onBusy: (busy: boolean) => void,
    private readonly onChanged: (changed: Changed) => void,
    private readonly onLost: () => void,
    private readonly onSearching: (share: number | null) => void = () => {},
  ) {
    model.on("msg:custom", this.receive);
  }

  /** Ask, and return the answer; throws Refused. */
  async ask<T>(op: string, args: object = {}): Promise<T> {
    try {
      return await this.once<T>(op, args);
    } catch (error) {
      if (error instanceof Refused && error.code === "timeout" && READS.has(op)) return this.once<T>(op, args);
      throw error;
    }
  }

  /** Ask until all is found, or is not wanted any more: a search goes on where the request before it ended. */
  async search<T extends Searched>(op: string, args: object, wanted: () => boolean): Promise<T> {
    let told = false;
    try {
      for (;;) {
        const found = await this.ask<T>(op, args);
        if (found.searched === null || !wanted()) return found;
        this.onSearching(found.searched);
        told = true;
      }
    } finally {
      if (told) this.onSearching(null);
    }
  }

  /** Ask for what takes long, and hear meanwhile how far it is. */
  async task<T>(op: string, args: object, onFar: (far: Far) => void): Promise<T> {
    let done = false;
    let asked = false;
    const watch = setInterval(async () => {
      if (asked) return; // the kernel has not said it yet
      asked = true;
      const far = await this.ask<Partial<Far>>("progress").catch(() => ({}) as Partial<Far>);
      asked = false;
      if (!done && far.what !== undefined) onFar({ what: far.what, done: far.done ?? 0, total: far.total ?? null });
    }, PACE);
    try {
      return await this.ask<T>(op, args);
    } finally {
      done = true;
      clearInterval(watch);
    }
  }

  /** End what takes long before it is done; its question is then refused. */
  cancel(): void {
    void this.ask("cancel").catch(() => {});
  }

  /** Whether an answer is still to come. */
  get waiting(): boolean {
    return this.asked.size > 0;
  }

  /** Call back when the last answer has come, and what follows from it was done. */
  whenIdle(callback: () => void): void {
    this.idle.add(callback);
  }

  destroy(): void {
    this.idle.clear();
    this.closed = true;
    this.model.off("msg:custom", this.receive);
    this.settle("closed", CLOSED);
  }

  /** The kernel is gone, and what it knew: nobody will answer any more. */
  lose(): void {
    if (this.gone) return;
    this.gone = true;
    this.settle("lost", LOST);
    this.onLost();
  }

  private settle(code: string, message: string): void {
    for (const one of [...this.asked.values()]) one.settle({ error: { code, message } });
  }

  private once<T>(op: string, args: object): Promise<T> {
    if (this.closed) return Promise.reject(new Refused("closed", CLOSED, {}));
    const id = this.next++;
    return new Promise<T>((resolve, reject) => {
      let late = false;
      const busy = setTimeout(() => {
        late = true;
        if (++this.late === 1) this.onBusy(true);
      }, BUSY);
      const lost = setTimeout(
        () => settle({ error: { code: "timeout", message: "the kernel did not answer within a minute" } }),
        LONG.has(op) ? 2 ** 31 - 1 : TIMEOUT,
      );
      const settle: Asked["settle"] = ({ ok, error }) => {
        clearTimeout(busy);
        clearTimeout(lost);
        this.asked.delete(id);
        if (late && --this.late === 0) this.onBusy(false);
        if (!this.waiting) setTimeout(() => this.rested());
        if (error) reject(new Refused(String(error.code), String(error.message), error));
        else resolve(ok as T);
      };
      this.asked.set(id, { settle });
      try {
        if (this.gone) settle({ error: { code: "lost", message: LOST } });
        else this.model.send({ id, op, args });
      } catch {
        this.lose(); // the host has no kernel to send it to
      }
    });
  }

  private rested(): void {
    if (this.waiting) return; // something was asked since
    const callbacks = [...this.idle];
    this.idle.clear();
    for (const callback of callbacks) callback();
  }

  private readonly receive = (message: { id?: number; ok?: unknown; error?: Record<string, unknown>; event?: string }): void => {
    if (message.event === "changed") this.onChanged(message as unknown as Changed);
    else if (message.id !== undefined) this.asked.get(message.id)?.settle(message);
  };
}
