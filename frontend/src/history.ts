/** The past: the commits, what differs between two of them, and undoing one. */

import { button, count, h, plural } from "./dom";
import { Panel, plain, table } from "./panel";
import { type Changed, echo, type Model } from "./rpc";
import { ask } from "./sheet";
import type { Column, Opened, Schema, Wire } from "./wire";

interface Commit {
  seq: number;
  time: string;
  author: string;
  message: string;
  stores: string[];
  inserted: number;
  updated: number;
  deleted: number;
  notes: string;
}

interface Log {
  commits: Commit[];
  tags: { name: string; seq: number }[];
  seq: number;
}

type Kind = "insert" | "update" | "delete";

interface Difference {
  columns: string[];
  rows: { key: string; label: string; kind: Kind; old: Wire[] | null; new: Wire[] | null; changed: string[] }[];
  start: number;
  total: number;
  exact: boolean;
}

const MOST = 200;
const PAGE = 50;
const WORDS = { insert: "new", update: "changed", delete: "deleted" };

export class Past extends Panel {
  private store: string | null = null;
  private reverts = false;
  private log: Log = { commits: [], tags: [], seq: 0 };
  private a = 0;
  private b = 0;
  private at = 0;
  private turn = 0;
  /** The newest commit that was made here. */
  private own = 0;
  private readonly list = h("div", { class: "log", role: "region", "aria-label": "Commits", tabindex: "0" });
  private readonly of = h("select", { "aria-label": "Store to compare", on: { change: () => this.again() } });
  private readonly head = h("div", { class: "differs-head" });
  private readonly rows = h("div");

  constructor(model: Model, root: HTMLElement) {
    super(model, root, "History");
    this.body.classList.add("past");
    this.body.append(this.list, h("div", { class: "differs" }, this.head, this.rows));
  }

  async start(): Promise<void> {
    await this.attempt(this.opened());
  }

  private async opened(): Promise<void> {
    const opened = await this.rpc.ask<Opened>("open");
    const given = this.model.get("data") as { store?: string | null; reverts?: boolean } | undefined;
    this.store = given?.store ?? null;
    this.reverts = given?.reverts ?? opened.edit;
    this.title.textContent = `History of ${this.store ?? opened.title}`;
    await this.rpc.ask("watch", { on: true });
    await this.read();
    const [newest, before] = this.log.commits;
    this.b = newest?.seq ?? 0;
    this.a = before?.seq ?? Math.max(0, this.b - 1);
    this.follow("between", () => this.given());
    if (!this.given()) this.between(this.a, this.b);
  }

  /** Take the commits that the kernel says. */
  private given(): boolean {
    const [a, b] = (this.model.get("between") as number[] | undefined) ?? [];
    if (a === undefined || b === undefined) return false;
    if (a !== this.a || b !== this.b || !this.rows.childElementCount) this.between(a, b);
    return true;
  }

  protected override changed({ seq }: Changed): void {
    if (seq <= this.log.seq) return;
    void this.attempt(this.read().then(() => seq !== this.own && this.say(`Commit ${count(seq)} is new`, "news")));
    echo(this.model, "seq");
  }

  private async read(): Promise<void> {
    const log = await this.rpc.ask<Log>("log", { limit: MOST });
    if (log.seq < this.log.seq) return; // a newer one came first
    this.log = log;
    this.drawLog();
  }

  private between(a: number, b: number): void {
    [this.a, this.b] = a <= b ? [a, b] : [b, a];
    this.tell("between", [this.a, this.b]);
    this.drawLog();
    this.again();
  }

  private again(): void {
    this.at = 0;
    void this.attempt(this.differ());
  }

  private drawLog(): void {
    const { commits, tags } = this.log;
    if (!commits.length) {
      this.list.replaceChildren(h("div", { class: "nothing" }, h("b", { text: "Nothing was committed yet" })));
      return;
    }
    const before = (this.list.getRootNode() as ShadowRoot).activeElement;
    const again = before && this.list.contains(before) ? before.getAttribute("aria-label") : null;
    const side = (seq: number, name: "a" | "b"): HTMLElement =>
      h(
        "td",
        {},
        h("input", {
          type: "radio",
          name: `side-${name}`,
          checked: this[name] === seq,
          "aria-label": `Compare ${name === "a" ? "from" : "to"} commit ${seq}`,
          on: { change: () => (name === "a" ? this.between(seq, Math.max(seq, this.b)) : this.between(Math.min(this.a, seq), seq)) },
        }),
      );
    const authors = commits.some(({ author }) => author);
    const heads = ["from", "to", "commit", "time", ...(authors ? ["author"] : []), "message", "stores", "new", "changed", "deleted", ""];
    const numbers = new Set(["commit", "new", "changed", "deleted"]);
    const begin = commits.length < MOST ? Math.max(0, (commits.at(-1)?.seq ?? 1) - 1) : null;
    this.list.replaceChildren(
      h(
        "table",
        {},
        h("thead", {}, h("tr", {}, ...heads.map((text) => h(text ? "th" : "td", { scope: text ? "col" : null, class: numbers.has(text) ? "right" : "", text })))),
        h(
          "tbody",
          {},
          ...commits.map((commit) =>
            h(
              "tr",
              { class: commit.seq === this.a || commit.seq === this.b ? "chosen" : "" },
              side(commit.seq, "a"),
              side(commit.seq, "b"),
              h("td", { class: "right", text: count(commit.seq) }),
              h("td", { text: moment(commit.time), title: commit.time }),
              authors ? h("td", { text: commit.author }) : null,
              h("td", { class: "said", title: [commit.message, commit.notes].filter(Boolean).join("\n") }, commit.message || h("span", { class: "muted", text: commit.notes || "no message" }), ...tags.filter(({ seq }) => seq === commit.seq).map(({ name }) => h("span", { class: "badge tag", text: name }))),
              h("td", { text: commit.stores.join(", ") }),
              ...([commit.inserted, commit.updated, commit.deleted].map((n) => h("td", { class: `right ${n ? "" : "muted"}`, text: count(n) }))),
              h("td", {}, this.reverts ? button("Revert", () => void this.attempt(this.revert(commit)), { class: "tiny", title: `Undo commit ${commit.seq} by a new one`, "aria-label": `Revert commit ${commit.seq}` }) : null),
            ),
          ),
        ),
        begin === null
          ? null
          : h(
              "tfoot",
              {},
              h("tr", { class: begin === this.a ? "chosen" : "" }, side(begin, "a"), h("td"), h("td", { class: "right muted", text: count(begin) }), h("td", { class: "muted", colspan: String(heads.length - 3), text: begin ? "what was before" : "the empty database" })),
            ),
      ),
    );
    if (again) this.list.querySelector<HTMLElement>(`[aria-label="${again}"]`)?.focus();
  }

  private async differ(): Promise<void> {
    const turn = ++this.turn;
    const { a, b } = this;
    const touched = this.store ? [this.store] : [...new Set(this.log.commits.filter(({ seq }) => seq > a && seq <= b).flatMap(({ stores }) => stores))].sort();
    const chosen = touched.includes(this.of.value) ? this.of.value : (touched[0] ?? "");
    this.of.replaceChildren(...touched.map((name) => h("option", { value: name, text: name })));
    this.of.value = chosen;
    const from = h("b", { class: "exact", text: `${count(a)} → ${count(b)}` });
    if (a === b || !chosen) {
      this.head.replaceChildren(...(b ? [from] : []), h("span", { class: "muted", text: !b ? "" : a === b ? "Choose two commits to see what differs" : "No store was changed between these commits" }));
      this.rows.replaceChildren(h("span"));
      return;
    }
    const found = await this.rpc.ask<Difference>("diff", { a, b, store: chosen, start: this.at, size: PAGE });
    const columns = await this.described(chosen, found.columns);
    if (turn !== this.turn) return;
    const last = found.start + found.rows.length;
    this.head.replaceChildren(
      from,
      ...(this.store ? [] : [h("label", { class: "caption" }, "Store", this.of)]),
      h("span", { text: found.total ? `${count(found.total)}${found.exact ? "" : "+"} ${found.total === 1 ? "row differs" : "rows differ"}` : "No row differs" }),
      h("span", { class: "spring" }),
      ...(found.total > PAGE
        ? [
            h(
              "div",
              { class: "group" },
              h("span", { class: "exact muted", text: `${count(found.start + 1)} to ${count(last)}` }),
              button("Previous rows", () => this.turned(-PAGE), { icon: "previous", bare: true, class: "quiet", disabled: found.start === 0 }),
              button("Next rows", () => this.turned(PAGE), { icon: "next", bare: true, class: "quiet", disabled: found.exact && last >= found.total }),
            ),
          ]
        : []),
    );
    this.drawRows(found, columns);
  }

  private turned(by: number): void {
    this.at = Math.max(0, this.at + by);
    void this.attempt(this.differ());
  }

  /** The columns of the store; one that is gone by now has no kind. */
  private async described(store: string, names: string[]): Promise<Column[]> {
    const known = await this.rpc.ask<Schema>("schema", { store }).then(
      ({ columns }) => new Map(columns.map((column) => [column.name, column])),
      () => new Map<string, Column>(),
    );
    return names.map((name) => known.get(name) ?? plain(name, "", "text"));
  }

  private drawRows({ rows, columns: names }: Difference, columns: Column[]): void {
    if (!rows.length) {
      this.rows.replaceChildren(h("span"));
      return;
    }
    const lines = rows.flatMap(({ kind, old, new: now, changed }) => [
      ...(old ? [{ kind, side: "old", cells: old, changed, first: true }] : []),
      ...(now ? [{ kind, side: "new", cells: now, changed, first: !old }] : []),
    ]);
    this.rows.replaceChildren(
      table(
        "Rows that differ",
        columns,
        lines.map(({ cells }) => cells),
        {
          lead: {
            name: "",
            of: (row) => {
              const line = lines[row];
              return line?.first ? h("span", { class: `kind ${line.kind}`, text: WORDS[line.kind] }) : h("span", { class: "hidden", text: "becomes" });
            },
            kind: (row) => (lines[row]?.kind === "update" && lines[row]?.side === "old" ? "old" : ""),
          },
          mark: (row, column) => (lines[row]?.changed.includes(names[column] ?? "") ? (lines[row]?.side === "old" ? "was" : "is") : ""),
        },
      ),
    );
  }

  private async revert(commit: Commit): Promise<void> {
    const message = h("input", { type: "text", value: "", placeholder: `revert commit ${commit.seq}`, "aria-label": "Message of the new commit" });
    const touched = [
      commit.inserted ? `${plural(commit.inserted, "row")} that it inserted would be deleted` : "",
      commit.updated ? `${plural(commit.updated, "row")} would have the values from before` : "",
      commit.deleted ? `${plural(commit.deleted, "row")} that it deleted would be there again` : "",
    ].filter(Boolean);
    const answer = await ask(
      this.root,
      `Revert commit ${count(commit.seq)}?`,
      [
        h("p", { text: commit.message || commit.notes || "It has no message." }),
        h("p", { class: "muted", text: `A new commit undoes it${touched.length ? `: ${touched.join(", ")}` : ""}. What others changed since is not overwritten.` }),
        h("label", { class: "line-label" }, "Message", message),
      ],
      [
        { label: "Cancel", value: "" },
        { label: "Revert", value: "revert", class: "danger" },
      ],
    );
    if (answer !== "revert") return;
    const done = await this.rpc.ask<{ seq: number; counts: Record<"inserted" | "updated" | "deleted", number> }>("revert", { seq: commit.seq, message: message.value.trim() || null });
    this.own = done.seq;
    await this.read();
    this.between(commit.seq, done.seq);
    this.say(`Commit ${count(commit.seq)} was reverted by commit ${count(done.seq)}`, "good");
    echo(this.model, "seq");
  }

  override destroy(): void {
    void this.rpc.ask("watch", { on: false }).catch(() => undefined);
    super.destroy();
  }
}

/** Day and time to the second, as the reader's clock has it. */
function moment(iso: string): string {
  const at = new Date(iso);
  const two = (n: number): string => String(n).padStart(2, "0");
  return Number.isNaN(at.getTime()) ? iso : `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}
