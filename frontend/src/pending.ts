/** The pending changes: a list that reads as a diff, its commit and its rollback, and rows that others changed meanwhile. */

import { text, told } from "./cells";
import { button, h, icon, plural } from "./dom";
import type { Rpc } from "./rpc";
import { sheet } from "./sheet";
import type { Change, Kind, Wire } from "./wire";

const LONGEST = 160;
const VERBS = { insert: "new", update: "edited", delete: "deleted" } as const;

export interface Deciding {
  rpc: Rpc;
  commit(message: string): Promise<void>;
  rollback(): Promise<void>;
  /** Something about the pending changes was decided. */
  decided(): Promise<void>;
  failed(error: unknown): void;
  closed(): void;
}

/** Open the list of pending changes; returns what draws it, the first time and again. */
export function pendingSheet(host: HTMLElement, deciding: Deciding): () => Promise<void> {
  const { body, foot, close } = sheet(host, "Pending changes", deciding.closed);
  const message = h("input", { type: "text", "aria-label": "Message of the commit", placeholder: "What is this commit? (optional)", autocomplete: "off" });
  const rollback = button("Roll back", () => run(() => deciding.rollback().then(close)), { class: "danger", icon: "undo" });
  const commit = button("Commit", () => run(() => deciding.commit(message.value).then(close)), { class: "primary" });
  message.addEventListener("keydown", (event) => event.key === "Enter" && !commit.disabled && commit.click());
  foot.append(h("div", { class: "foot-line" }, message), h("div", { class: "foot-line end" }, rollback, commit));

  let working = false;
  let turn = 0;
  commit.disabled = rollback.disabled = true; // what is not seen is not committed

  /** Do one thing at a time: a second click does nothing. */
  function run(work: () => Promise<unknown>): void {
    if (working) return;
    working = true;
    work()
      .catch(deciding.failed)
      .finally(() => (working = false));
  }

  function decide(op: string, args: object): void {
    run(async () => {
      await deciding.rpc.ask(op, args);
      await deciding.decided();
    });
  }

  function card(change: Change): HTMLElement {
    const stale = change.state === "stale";
    const whole = change.kind === "update" ? change.cells : change.cells.filter((line) => (change.kind === "insert" ? line.new : line.old) !== null);
    const lines = whole.map((line) => difference(line, change));
    const nulls = change.cells.length - whole.length;
    if (nulls) lines.push([h("dt"), h("dd", { class: "muted", text: `${whole.length ? "the other " : ""}${plural(nulls, "column is", "columns are")} null` })]);
    return h(
      "li",
      { class: `change ${change.kind} ${stale ? "stale" : ""}` },
      h(
        "div",
        { class: "change-head" },
        h("span", { class: `kind ${change.kind}`, text: VERBS[change.kind] }),
        h("span", { class: "where", title: `${change.store} ${change.key}` }, h("span", { class: "store", text: change.store }), " ", change.key),
        button(`Undo this change of ${change.key}`, () => decide("discard", { change: change.id }), {
          icon: "undo",
          bare: true,
          class: "quiet",
          title: "Undo this change",
        }),
      ),
      lines.length > 0 && h("dl", { class: "difference" }, ...lines.flat()),
      stale && conflict(change),
    );
  }

  function conflict(change: Change): HTMLElement {
    const theirs = change.stale?.theirs;
    const seq = change.stale?.seq;
    return h(
      "div",
      { class: "conflict" },
      h(
        "p",
        {},
        icon("warning"),
        theirs
          ? ` Commit ${seq} changed this row after you saw it.`
          : theirs === null
            ? ` The row was deleted${seq ? ` in commit ${seq}` : ""} after you saw it.`
            : " The row changed after you saw it.",
      ),
      theirs ? h("dl", { class: "difference" }, ...Object.entries(theirs).flatMap(([name, value]) => [h("dt", { text: name }), h("dd", {}, "theirs ", said(value, "theirs", change.kinds[name]))])) : null,
      h(
        "div",
        { class: "foot-line end" },
        button("Keep theirs", () => decide("resolve", { change: change.id, keep: "theirs" })),
        button("Keep mine", () => decide("resolve", { change: change.id, keep: "mine" }), { class: "primary" }),
      ),
    );
  }

  async function draw(): Promise<void> {
    const asked = ++turn;
    const { changes } = await deciding.rpc.ask<{ changes: Change[] }>("pending");
    if (asked !== turn) return; // it is drawn once more
    const within = body.contains((body.getRootNode() as ShadowRoot).activeElement);
    const stale = changes.filter(({ state }) => state === "stale").length;
    body.replaceChildren(
      h("p", { class: "lead" }, plural(changes.length, "change"), stale ? `, ${stale} of them stale: decide before you commit` : ", seen by nobody else until you commit"),
      h("ul", { class: "changes" }, ...changes.map(card)),
    );
    commit.disabled = changes.length === 0 || stale > 0;
    rollback.disabled = changes.length === 0;
    if (within) (body.querySelector("button") ?? message).focus(); // what had the focus is gone
  }

  message.focus();
  return draw;
}

function difference(line: Change["cells"][number], change: Change): HTMLElement[] {
  const parts: Node[] = [];
  const kind = change.kinds[line.column];
  if (change.kind !== "insert") parts.push(said(line.old, "old", kind));
  if (change.kind === "update") parts.push(h("span", { class: "to", text: "→", "aria-label": "becomes" }));
  if (change.kind !== "delete") parts.push(said(line.new, "new", kind));
  return [h("dt", { text: line.column }), h("dd", {}, ...parts)];
}

/** A value of a diff in the words of the grid: null and the empty text are told apart from texts that read so. */
export function said(value: Wire | undefined, side: string, kind: Kind = "text"): HTMLElement {
  if (value === null || value === undefined || value === "") return h("span", { class: `value null ${side}`, text: value === "" ? "empty" : "null" });
  const shown = told(value, kind);
  return h("span", { class: `value ${side}`, dir: "auto", title: text(value), text: shown.length > LONGEST ? `${shown.slice(0, LONGEST)}…` : shown });
}
