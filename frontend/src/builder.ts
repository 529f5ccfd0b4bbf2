/** The builder of index specifications: fields picked, ordered and turned, and what that does to the rows. */

import { button, count, h, icon, plural } from "./dom";
import { typeMark } from "./headers";
import { type Described, Panel, plain, same, section, type Specification, suggestions, type Suggested, table } from "./panel";
import { echo, type Model } from "./rpc";
import { text } from "./cells";
import type { Kind, Opened, Wire } from "./wire";

interface Sample {
  columns: string[];
  key: number;
  rows: Wire[][];
  looked_at: number;
  total: number;
}

interface Checked {
  unique: boolean;
  duplicates: number;
  share: number;
  examples: Wire[][];
  looked_at: number;
  total: number;
}

interface Target {
  store?: string;
  frame?: string;
  creates?: boolean;
}

const CEL = "cel: ";

export class Builder extends Panel {
  private target: Target = {};
  private columns: Described[] = [];
  private found: Suggested[] = [];
  private readonly expressions = new Map<string, { type: string; kind: Kind }>();
  private specification: Specification = { fields: [], unique: true };
  private turn = 0;

  private readonly fields = h("ol", { class: "fields", "aria-label": "Fields of the key" });
  private readonly add = h("select", { "aria-label": "Column to add", on: { change: () => this.picked() } });
  private readonly expression = h("input", {
    type: "text",
    placeholder: "expression, such as a + b",
    "aria-label": "Expression in CEL to add",
    spellcheck: "false",
    on: { keydown: (event: KeyboardEvent) => event.key === "Enter" && void this.attempt(this.computed()) },
  });
  private readonly unique = h("input", { type: "checkbox", on: { change: () => this.set({ ...this.specification, unique: this.unique.checked }) } });
  private readonly suggested = h("div");
  private readonly verdict = h("div", { class: "verdict", role: "status", "aria-label": "Uniqueness" });
  private readonly sample = h("div", { class: "sample" });
  private readonly name = h("input", {
    type: "text",
    placeholder: "name of the index",
    "aria-label": "Name of the index",
    on: { input: () => this.creatable(), keydown: (event: KeyboardEvent) => event.key === "Enter" && this.create.click() },
  });
  private readonly create = button("Create index", () => void this.attempt(this.creates()), { class: "primary" });

  constructor(model: Model, root: HTMLElement) {
    super(model, root, "Index");
  }

  async start(): Promise<void> {
    await this.attempt(this.opened());
  }

  private async opened(): Promise<void> {
    const given = this.model.get("data") as Target | undefined;
    if (given?.store || given?.frame) this.target = given;
    else {
      const { store, edit } = await this.rpc.ask<Opened>("open");
      this.target = { store: store ?? "", creates: edit };
    }
    this.title.textContent = this.target.store ? `Index for ${this.target.store}` : "Index for a frame";
    this.columns = (await this.rpc.ask<{ columns: Described[] }>("index.fields", this.named)).columns;
    const creating = this.target.store && this.target.creates !== false;
    this.body.append(
      h(
        "div",
        { class: "choices" },
        section("Key", this.fields, h("div", { class: "foot-line" }, this.add), h("div", { class: "foot-line" }, this.expression, button("Add", () => void this.attempt(this.computed()), { title: "Add the expression" })), h("label", { class: "check" }, this.unique, "unique: no two rows have the same key")),
        section("Suggestions", this.suggested),
        creating ? section("Create", h("div", { class: "foot-line" }, this.name, this.create)) : null,
      ),
      h("div", { class: "effect" }, this.verdict, this.sample),
    );
    this.follow("specification", () => void this.attempt(this.given()));
    await this.given();
    this.suggested.replaceChildren(h("div", { class: "shimmer" }));
    const { suggestions: found } = await this.rpc.ask<{ suggestions: Suggested[] }>("suggest", this.named);
    this.found = found;
    this.drawSuggestions();
  }

  private get named(): Target {
    return this.target.store ? { store: this.target.store } : { frame: this.target.frame ?? "" };
  }

  /** Take what the kernel says. */
  private async given(): Promise<void> {
    const told = (this.model.get("specification") as Specification | null | undefined) ?? null;
    if (told && JSON.stringify(told) === JSON.stringify(this.specification)) return;
    for (const { name } of told?.fields ?? []) if (name.startsWith(CEL)) await this.known(name);
    this.set(told ?? { fields: [], unique: true });
  }

  private async known(name: string): Promise<void> {
    if (this.expressions.has(name)) return;
    const found = await this.rpc.ask<{ type: string; kind: Kind }>("index.expression", { ...this.named, expression: name.slice(CEL.length) });
    this.expressions.set(name, found);
  }

  private picked(): void {
    const name = this.add.value;
    if (!name) return;
    this.set(this.with([...this.specification.fields, { name, descending: false, nulls: "last" }]));
    this.add.focus();
  }

  private async computed(): Promise<void> {
    const given = this.expression.value.trim();
    if (!given) return;
    const name = CEL + given;
    this.expression.removeAttribute("aria-invalid");
    try {
      await this.known(name);
    } catch (error) {
      this.expression.setAttribute("aria-invalid", "true");
      throw error;
    }
    this.expression.value = "";
    if (!this.specification.fields.some((field) => field.name === name)) this.set(this.with([...this.specification.fields, { name, descending: false, nulls: "last" }]));
  }

  private with(fields: Specification["fields"]): Specification {
    return { ...this.specification, fields };
  }

  private move(at: number, by: number, focus: string): void {
    const fields = [...this.specification.fields];
    const [field] = fields.splice(at, 1);
    if (!field || at + by < 0 || at + by > fields.length) return;
    fields.splice(at + by, 0, field);
    this.set(this.with(fields));
    const line = this.fields.children[at + by];
    const again = line?.querySelector<HTMLButtonElement>(`button.${focus}:not(:disabled)`) ?? line?.querySelector<HTMLButtonElement>("button.turn");
    again?.focus();
  }

  private remove(at: number): void {
    this.set(this.with(this.specification.fields.filter((_, i) => i !== at)));
    (this.fields.children[Math.min(at, this.fields.children.length - 1)]?.querySelector<HTMLElement>("button.turn") ?? this.add).focus();
  }

  private turned(at: number): void {
    this.set(this.with(this.specification.fields.map((field, i) => (i === at ? { ...field, descending: !field.descending } : field))));
    this.fields.children[at]?.querySelector<HTMLElement>("button.turn")?.focus();
  }

  /** Show another specification, and tell the kernel of it once it is known to be one. */
  private set(specification: Specification): void {
    this.specification = specification;
    this.say("");
    this.drawFields();
    this.drawSuggestions();
    void this.attempt(this.look());
  }

  private async look(): Promise<void> {
    const turn = ++this.turn;
    const { specification } = this;
    if (!specification.fields.length) {
      this.tell("specification", null);
      this.verdict.replaceChildren();
      this.sample.replaceChildren(h("div", { class: "nothing" }, h("b", { text: "Choose the fields of the key" }), h("span", { text: "Add a column, or take a suggestion; the first rows in that order are shown here." })));
      return;
    }
    const args = { ...this.named, specification };
    this.verdict.className = "verdict";
    this.verdict.replaceChildren(h("span", { class: "muted", text: "Looking for keys that are there twice…" }));
    this.sample.classList.add("loading");
    try {
      const found = await this.rpc.ask<Sample>("index.sample", args);
      if (turn !== this.turn) return;
      this.tell("specification", specification);
      this.drawSample(found);
      const checked = await this.rpc.ask<Checked>("index.check", args);
      if (turn === this.turn) this.drawVerdict(checked);
    } catch (error) {
      if (turn !== this.turn) return;
      this.verdict.replaceChildren();
      throw error;
    } finally {
      if (turn === this.turn) this.sample.classList.remove("loading");
    }
  }

  private described(name: string): { type: string; kind: Kind } {
    return this.columns.find((column) => column.name === name) ?? this.expressions.get(name) ?? { type: "", kind: "text" };
  }

  private drawFields(): void {
    const { fields, unique } = this.specification;
    this.fields.replaceChildren(
      ...fields.map(({ name, descending }, at) => {
        const way = descending ? "descending" : "ascending";
        return h(
          "li",
          {
            on: {
              keydown: (event: KeyboardEvent) => {
                const by = event.altKey ? { ArrowUp: -1, ArrowDown: 1 }[event.key] : undefined;
                if (by) this.move(at, by, "turn");
                else if (event.key === "Delete") this.remove(at);
                else return;
                event.preventDefault();
              },
            },
          },
          h("span", { class: "place", text: String(at + 1) }),
          h("span", { class: "what" }, h("span", { class: "name", text: name, title: name }), h("span", { class: "type", text: typeMark(this.described(name).type) })),
          button(`${name} is ${way}; turn it`, () => this.turned(at), { icon: descending ? "down" : "up", bare: true, class: "quiet turn", title: `${way} (click to turn; Alt+arrows move the field, Delete removes it)` }),
          button(`Move ${name} up`, () => this.move(at, -1, "before"), { bare: true, class: "quiet before", disabled: at === 0, icon: "chevron" }),
          button(`Move ${name} down`, () => this.move(at, 1, "after"), { bare: true, class: "quiet after", disabled: at === fields.length - 1, icon: "chevron" }),
          button(`Remove ${name}`, () => this.remove(at), { icon: "close", bare: true, class: "quiet" }),
        );
      }),
    );
    const left = this.columns.filter((column) => column.orderable && !fields.some(({ name }) => name === column.name));
    this.add.replaceChildren(h("option", { value: "", text: "Add a column…" }), ...left.map(({ name, type }) => h("option", { value: name, text: `${name} (${typeMark(type)})` })));
    this.add.disabled = !left.length;
    this.unique.checked = unique;
    this.creatable();
  }

  private drawSuggestions(): void {
    this.suggested.replaceChildren(
      suggestions(
        this.found,
        (one) => {
          this.set(one.specification);
          this.suggested.querySelector<HTMLElement>("[aria-pressed='true']")?.focus();
        },
        (one) => same(one.specification, this.specification),
      ),
    );
  }

  private drawSample({ columns, key, rows, looked_at, total }: Sample): void {
    const shown = columns.map((name, i) => plain(name, this.described(name).type, this.described(name).kind, i < key ? i + 1 : 0));
    const ways = new Map(this.specification.fields.map(({ name, descending }) => [name, descending]));
    this.sample.replaceChildren(
      h("p", { class: "lead", text: `The first rows in this order${looked_at < total ? `, of the first ${count(looked_at)} of ${count(total)}` : ""}` }),
      table("The first rows in this order", shown, rows, {
        head: (column) => h("div", { class: "type", title: column.type }, typeMark(column.type), column.key ? icon(ways.get(column.name) ? "down" : "up") : null),
        mark: (_, column) => (column === key - 1 ? "of-key last-of-key" : ""),
      }),
    );
  }

  private drawVerdict({ unique, duplicates, share, examples, looked_at, total }: Checked): void {
    const among = looked_at < total ? ` among the first ${count(looked_at)} of ${count(total)} rows` : "";
    if (unique) {
      this.verdict.className = "verdict good";
      this.verdict.replaceChildren(h("b", { text: "Unique" }), ` ${plural(looked_at, "row")}, each with a key of its own${among}`);
      return;
    }
    const wanted = this.specification.unique;
    const told = new Set(examples.map((key) => key.map((value) => (value === null ? "null" : text(value))).join(" · ")));
    this.verdict.className = `verdict ${wanted ? "bad" : ""}`;
    this.verdict.replaceChildren(
      h("b", { text: "Not unique" }),
      ` ${plural(duplicates, "row has", "rows have")} the key of another one${among}; ${(100 * share).toFixed(1)} % of the keys differ`,
      h("div", { class: "twice" }, "There twice: ", ...[...told].flatMap((one, i) => [i ? ", " : "", h("code", { text: one })])),
    );
  }

  private creatable(): void {
    this.create.disabled = !this.specification.fields.length || !this.name.value.trim();
  }

  private async creates(): Promise<void> {
    const name = this.name.value.trim();
    this.create.disabled = true;
    this.say("Creating the index…");
    try {
      const done = await this.rpc.ask<{ name: string; index: string; seq: number }>("index.create", { ...this.named, name, specification: this.specification });
      this.name.value = "";
      this.say(`Index ${done.name} (${done.index}) was created in commit ${count(done.seq)}`, "good");
      echo(this.model, "specification");
    } finally {
      this.creatable();
    }
  }
}
