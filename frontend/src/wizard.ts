/** The import of data: what it is, its types, its key, where it goes, and what came of it. */

import { button, count, h, plural } from "./dom";
import { type Described, Panel, plain, same, section, type Specification, suggestions, type Suggested, table } from "./panel";
import { Progress } from "./progress";
import { echo, type Model, Refused } from "./rpc";
import type { Wire } from "./wire";

interface Preview {
  columns: Described[];
  rows: Wire[][];
  total: number | null;
  key: string[] | null;
  suggestions: Suggested[];
  exists: boolean;
}

interface Loaded {
  store: string;
  seq: number;
  counts: Record<"inserted" | "updated" | "unchanged", number>;
  rejected: { reason: string; cells: Record<string, string | null> }[];
  rejected_rows: number;
}

type Source = { frame: string } | { source: string } | { text: string };

const IF_EXISTS = { raise: "refuse to load", replace: "replace the store", insert: "insert the rows into it", upsert: "insert the rows, or update those that are there" };
const ON_ERROR = { raise: "refuse to load", report: "leave it out and report it" };

export class Wizard extends Panel {
  private shown: Preview | null = null;
  private types: Record<string, string> = {};
  /** The types that the kernel knows. */
  private told: Record<string, string> = {};
  private specification: Specification | null = null;
  private pasted = false;
  private turn = 0;
  private loading = false;

  private readonly source = h("input", {
    type: "text",
    placeholder: "data/planes.csv or 2013-*.parquet",
    "aria-label": "Path or pattern of files",
    spellcheck: "false",
    on: { keydown: (event: KeyboardEvent) => event.key === "Enter" && this.read(false) },
  });
  private readonly text = h("textarea", { rows: "5", class: "paste", "aria-label": "Rows of a spreadsheet, the first one with the names of the columns", spellcheck: "false" });
  private readonly preview = h("div", { class: "sample" });
  private readonly key = h("div");
  private readonly fields = h("input", {
    type: "text",
    placeholder: "origin, -hour",
    "aria-label": "Fields of the key, with commas between them",
    spellcheck: "false",
    on: { change: () => this.typed() },
  });
  private readonly name = h("input", {
    type: "text",
    placeholder: "name of the store",
    "aria-label": "Name of the store",
    on: { input: () => this.named(), keydown: (event: KeyboardEvent) => event.key === "Enter" && this.go.click() },
  });
  private readonly ifExists = choice(IF_EXISTS, "If the store is there", () => this.tell("if_exists", this.ifExists.value));
  private readonly onError = choice(ON_ERROR, "A row that does not fit", () => this.tell("on_error", this.onError.value));
  private readonly go = button("Load", () => void this.attempt(this.load()), { class: "primary", icon: "stores" });
  private readonly progress = new Progress(() => this.rpc.cancel());
  private readonly result = h("div");
  private readonly later: HTMLElement[];

  constructor(model: Model, root: HTMLElement) {
    super(model, root, "Import");
    this.later = [
      section("Columns and first rows", this.preview),
      section("Key", this.key, h("label", { class: "line-label" }, "Other fields, a leading - making one descending", this.fields)),
      section(
        "Store",
        h("div", { class: "pair" }, h("label", { class: "line-label" }, "Name", this.name), h("label", { class: "line-label" }, "If it is there", this.ifExists), h("label", { class: "line-label" }, "A row that does not fit", this.onError)),
        h("div", { class: "foot-line end" }, this.go),
        this.progress.element,
        this.result,
      ),
    ];
  }

  async start(): Promise<void> {
    const frame = (this.model.get("data") as { frame?: string } | undefined)?.frame;
    this.source.value = String(this.model.get("source") ?? "");
    const steps = h(
      "div",
      { class: "steps" },
      section(
        "Data",
        frame
          ? h("p", { text: "The frame that was given" })
          : h(
              "div",
              { class: "part" },
              h("div", { class: "foot-line" }, this.source, button("Look", () => this.read(false), { title: "Read the first rows (Enter)" })),
              h("details", {}, h("summary", { text: "or paste rows from a spreadsheet" }), h("div", { class: "within" }, this.text, h("div", { class: "foot-line end" }, button("Look at the rows", () => this.read(true))))),
            ),
      ),
      ...this.later,
    );
    this.body.append(steps);
    this.take();
    for (const trait of ["name", "types", "specification", "if_exists", "on_error"]) this.follow(trait, () => this.take());
    this.follow("source", () => {
      this.source.value = String(this.model.get("source") ?? "");
      this.read(false);
    });
    this.after(false);
    if (frame || this.source.value) await this.attempt(this.look());
  }

  /** Take what the kernel says. */
  private take(): void {
    const types = (this.model.get("types") as Record<string, string> | undefined) ?? {};
    const changed = JSON.stringify(types) !== JSON.stringify(this.told);
    if (changed) this.types = this.told = types; // else what was chosen here and is being looked at stays
    this.specification = (this.model.get("specification") as Specification | null | undefined) ?? null;
    if (this.name.value !== (this.model.get("name") ?? "")) this.name.value = String(this.model.get("name") ?? "");
    this.ifExists.value = String(this.model.get("if_exists") ?? "raise");
    this.onError.value = String(this.model.get("on_error") ?? "raise");
    this.drawKey();
    this.named(false);
    if (changed && this.shown) void this.attempt(this.look());
  }

  /** What has the focus of the page, where it is within. */
  private focused(): Element | null {
    return (this.body.getRootNode() as ShadowRoot).activeElement;
  }

  private after(there: boolean): void {
    for (const part of this.later) part.hidden = !there;
  }

  private get given(): Source {
    const frame = (this.model.get("data") as { frame?: string } | undefined)?.frame;
    return frame ? { frame } : this.pasted ? { text: this.text.value } : { source: this.source.value.trim() };
  }

  private read(pasted: boolean): void {
    const { value } = pasted ? this.text : this.source;
    if (!value.trim()) return;
    this.pasted = pasted;
    this.types = this.told = {};
    this.tell("types", {});
    if (!pasted) this.tell("source", value.trim());
    void this.attempt(this.look()).then((done) => !done && this.after(false));
  }

  private async look(): Promise<void> {
    const turn = ++this.turn;
    this.say("Reading the first rows…");
    this.preview.classList.add("loading");
    try {
      const shown = await this.rpc.ask<Preview>("import.preview", { ...this.given, types: this.types });
      if (turn !== this.turn) return;
      this.shown = shown;
      this.say("");
      this.after(true);
      this.drawPreview(shown);
      this.drawKey();
      this.named(false);
    } finally {
      if (turn === this.turn) this.preview.classList.remove("loading");
    }
  }

  private drawPreview({ columns, rows, total }: Preview): void {
    const described = new Map(columns.map((column) => [column.name, column]));
    this.preview.replaceChildren(
      h("p", { class: "lead", text: `${total === null ? "" : `${plural(total, "row")}, `}${plural(columns.length, "column")}${rows.length < (total ?? Infinity) ? `; the first ${rows.length}` : ""}` }),
      table("The first rows of the data", columns.map(({ name, type, kind }) => plain(name, type, kind)), rows, {
        head: ({ name, type }) => {
          const choices = described.get(name)?.choices ?? [];
          if (!choices.length) return h("div", { class: "type", text: type });
          const chosen = this.types[name] ?? "";
          const select = h(
            "select",
            { "aria-label": `Type of ${name}`, on: { change: () => this.typeOf(name, select.value) } },
            h("option", { value: "", text: chosen ? "as it is read" : type }),
            ...choices.filter((word) => chosen || word !== type).map((word) => h("option", { value: word, text: word })),
          );
          select.value = chosen;
          return select;
        },
      }),
    );
  }

  private typeOf(name: string, word: string): void {
    const before = this.types;
    const { [name]: _, ...others } = before;
    this.types = word ? { ...others, [name]: word } : others;
    void this.attempt(this.look()).then((done) => {
      if (!done) {
        this.types = this.told = before; // what cannot be read is not chosen
        this.tell("types", before);
        if (this.shown) this.drawPreview(this.shown);
      } else {
        this.told = this.types;
        this.tell("types", this.types);
      }
      if (!this.focused()?.matches("input, textarea")) this.preview.querySelector<HTMLElement>(`select[aria-label="Type of ${CSS.escape(name)}"]`)?.focus();
    });
  }

  /** Draw the suggestions, and the fields as they are chosen; what is being typed stays. */
  private drawKey(typing = this.focused() === this.fields): void {
    if (!this.shown) return;
    const { key, suggestions: found } = this.shown;
    const own: Suggested[] = key ? [{ specification: { fields: [], unique: true }, text: key.join(", "), unique: true, share: 1, reason: "The named index of the frame." }] : [];
    this.key.replaceChildren(
      suggestions(
        [...own, ...found],
        (one) => {
          this.chosen(one.specification.fields.length ? one.specification : null);
          this.key.querySelector<HTMLElement>("[aria-pressed='true']")?.focus();
        },
        (one) => (one.specification.fields.length ? same(one.specification, this.specification) : this.specification === null),
      ),
    );
    const listed = found.some((one) => same(one.specification, this.specification));
    if (!typing) this.fields.value = this.specification && !listed ? this.specification.fields.map(({ name, descending }) => (descending ? `-${name}` : name)).join(", ") : "";
  }

  private chosen(specification: Specification | null): void {
    this.specification = specification;
    this.tell("specification", specification);
    this.drawKey(false);
    this.named(false);
  }

  private typed(): void {
    const names = this.fields.value.split(",").map((one) => one.trim()).filter(Boolean);
    this.chosen(names.length ? { fields: names.map((name) => ({ name: name.replace(/^-/, ""), descending: name.startsWith("-"), nulls: "last" })), unique: true } : null);
  }

  private named(tell = true): void {
    if (tell) this.tell("name", this.name.value.trim());
    const key = this.specification !== null || this.shown?.key || this.ifExists.value === "insert" || this.ifExists.value === "upsert";
    this.go.disabled = this.loading || !this.name.value.trim() || !key;
    this.go.title = !this.name.value.trim() ? "Name the store first" : key ? "Load the data in one commit" : "Choose the key first";
  }

  private async load(): Promise<void> {
    this.loading = true;
    this.named(false);
    this.result.replaceChildren();
    this.say("Loading…");
    this.progress.begin("Loading");
    try {
      const args = {
        ...this.given,
        types: this.types,
        store: this.name.value.trim(),
        if_exists: this.ifExists.value,
        on_error: this.onError.value,
        ...(this.specification ? { specification: this.specification } : {}),
      };
      const done = await this.rpc.task<Loaded>("import.run", args, (far) => this.progress.show(far));
      this.say(`Loaded in commit ${count(done.seq)}`, "good");
      this.drawResult(done);
      echo(this.model, "store", "rows", "rejected");
    } catch (error) {
      if (!(error instanceof Refused) || !error.message.includes("if_exists=")) throw error;
      this.ifExists.focus();
      throw new Error(`There is a store ${this.name.value.trim()} already; choose what is to become of it`);
    } finally {
      this.loading = false;
      this.progress.end();
      this.named(false);
    }
  }

  private drawResult({ store, counts, rejected, rejected_rows }: Loaded): void {
    const parts = (["inserted", "updated", "unchanged"] as const).filter((kind) => counts[kind] || kind === "inserted").map((kind) => `${count(counts[kind])} ${kind}`);
    const names = [...new Set(rejected.flatMap(({ cells }) => Object.keys(cells)))];
    this.result.replaceChildren(
      h("p", { class: "result" }, h("b", { text: store }), `: ${parts.join(", ")}${rejected_rows ? `, ${count(rejected_rows)} left out` : ""}`),
      ...(rejected.length
        ? [
            h("p", { class: "lead", text: rejected_rows > rejected.length ? `The first ${rejected.length} rows that were left out` : "The rows that were left out" }),
            table("The rows that were left out", [plain("reason", "", "text"), ...names.map((name) => plain(name, "", "text"))], rejected.map(({ reason, cells }) => [reason, ...names.map((name) => cells[name] ?? null)])),
          ]
        : []),
    );
    this.result.scrollIntoView({ block: "nearest" });
  }
}

function choice(options: Record<string, string>, label: string, act: () => void): HTMLSelectElement {
  return h("select", { "aria-label": label, on: { change: act } }, ...Object.entries(options).map(([value, text]) => h("option", { value, text })));
}
