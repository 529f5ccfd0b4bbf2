/** The search bar: one box for each field of the order, and one for a condition in CEL. */

import { button, h, icon, plural } from "./dom";
import { example, typed } from "./editors";
import type { Column, Field, Order, Wire } from "./wire";

export interface Sought {
  prefix: Wire[];
  startswith: string | null;
}

export class Search {
  readonly element: HTMLElement;
  private readonly boxes = h("div", { class: "boxes", role: "group", "aria-label": "Search in the order" });
  private readonly condition: HTMLInputElement;
  private readonly message = h("div", { class: "search-message", role: "alert" });
  private readonly clear: HTMLButtonElement;
  private fields: Field[] = [];
  private inputs: HTMLInputElement[] = [];

  constructor(
    private readonly onFilter: (sought: Sought, where: string) => void,
    private readonly onGo: (key: Wire[]) => void,
  ) {
    this.condition = h("input", {
      type: "text",
      class: "exact",
      "aria-label": "Condition in CEL",
      placeholder: "condition in CEL",
      spellcheck: "false",
      autocomplete: "off",
      on: { keydown: (event: KeyboardEvent) => event.key === "Enter" && this.filter(), input: () => this.say("") },
    });
    this.clear = button("Clear", () => this.reset(), { icon: "close", bare: true, class: "quiet", title: "Clear the search (Escape)" });
    this.element = h(
      "div",
      {
        class: "search",
        role: "search",
        on: { keydown: (event: KeyboardEvent) => event.key === "Escape" && !event.defaultPrevented && this.active && this.reset() },
      },
      h(
        "div",
        { class: "search-line" },
        this.boxes,
        h("div", { class: "condition" }, icon("funnel"), this.condition),
        h(
          "div",
          { class: "group" },
          button("Search", () => this.filter(), { icon: "search", title: "Show only what fits (Enter)" }),
          button("Go to key", () => this.go(), { icon: "target", title: "Go to the first row at or after these values (Shift+Enter)" }),
          this.clear,
        ),
      ),
      this.message,
    );
    this.clear.hidden = true;
  }

  /** Make the boxes of an order; values typed for fields of the same name stay. */
  setOrder(order: Order, columns: Column[], reverse: boolean): void {
    const before = new Map(this.fields.map(({ name }, place) => [name, this.inputs[place]?.value ?? ""]));
    const by = new Map(columns.map((column) => [column.name, column]));
    this.condition.placeholder = suggested(columns);
    this.fields = order.fields.filter(({ name }) => name !== "_id" || order.fields.length === 1);
    this.inputs = [];
    this.boxes.replaceChildren(
      ...this.fields.map((field, place) => {
        const column = by.get(field.name);
        const descending = field.descending !== reverse;
        const hint = field.kind === "text" || field.kind === "category" ? "text or begin*" : column ? example(column) : field.kind;
        const input = h("input", {
          type: "text",
          class: "exact",
          value: before.get(field.name) ?? "",
          placeholder: hint,
          size: String(Math.max(6, Math.round(0.85 * hint.length))),
          spellcheck: "false",
          autocomplete: "off",
          "aria-label": `${field.name}, ${descending ? "descending" : "ascending"}, field ${place + 1} of the order`,
          on: {
            keydown: (event: KeyboardEvent) => {
              if (event.key === "Enter") (event.shiftKey ? this.go() : this.filter());
            },
            input: () => this.say(""),
          },
        });
        this.inputs.push(input);
        return h(
          "label",
          { class: `box kind-${field.kind}`, title: `${field.name}: ${descending ? "descending" : "ascending"}${hint ? `; ${hint}` : ""}` },
          h("span", { class: "box-name" }, field.name, icon(descending ? "down" : "up")),
          input,
        );
      }),
    );
    this.marked();
  }

  focus(): void {
    (this.inputs[0] ?? this.condition).focus();
  }

  /** Say what is wrong with a box or the condition; "" says nothing. */
  say(message: string, column: string | null = null): void {
    const [first = "", ...more] = message.split("\n"); // an expression is told with the place in it that is wrong
    this.message.replaceChildren(first, ...(more.length ? [h("pre", { text: unindented(more) })] : []));
    const place = this.fields.findIndex(({ name }) => name === column);
    for (const [at, input] of this.inputs.entries()) mark(input, message !== "" && at === place);
    mark(this.condition, message !== "" && place < 0);
    this.marked();
  }

  /** Forget what was typed into the boxes of the order. */
  empty(): void {
    for (const input of this.inputs) input.value = "";
  }

  /** Put what is looked for into the boxes. */
  show(where: string): void {
    this.condition.value = where;
    this.marked();
  }

  private get active(): boolean {
    return this.condition.value !== "" || this.inputs.some(({ value }) => value !== "");
  }

  private marked(): void {
    this.clear.hidden = !this.active;
    for (const [place, input] of this.inputs.entries())
      input.classList.toggle("waits", this.inputs.slice(0, place).some(({ value }) => value === ""));
  }

  /** Forget what was searched for, and show all. */
  reset(): void {
    for (const input of this.inputs) input.value = "";
    this.condition.value = "";
    this.say("");
    this.onFilter({ prefix: [], startswith: null }, "");
  }

  private filter(): void {
    const sought = this.sought();
    if (sought) this.onFilter(sought, this.condition.value.trim());
  }

  private go(): void {
    const sought = this.sought();
    if (!sought) return;
    const key = sought.startswith === null ? sought.prefix : [...sought.prefix, sought.startswith];
    if (key.length) this.onGo(key);
    else this.say(`Fill ${this.fields[0]?.name ?? "a box"} first`, this.fields[0]?.name ?? null);
  }

  /** The values of the leading boxes; null, and a message, where they cannot be searched. */
  private sought(): Sought | null {
    const last = this.inputs.findLastIndex(({ value }) => value !== "");
    const prefix: Wire[] = [];
    for (const [place, field] of this.fields.slice(0, last + 1).entries()) {
      const given = this.inputs[place]?.value ?? "";
      const isText = field.kind === "text" || field.kind === "category";
      if (given === "") {
        this.say(`Fill ${field.name} too: the order is searched from its first field on`, field.name);
        return null;
      }
      if (isText && given.endsWith("*")) {
        if (place === last) return { prefix, startswith: given.slice(0, -1) };
        this.say(`A beginning with * can only stand in the last box that is filled (${plural(last + 1, "box", "boxes")} are)`, field.name);
        return null;
      }
      prefix.push(!isText && given.trim() === "null" ? null : typed(given, field.kind));
    }
    return { prefix, startswith: null };
  }
}

/** A condition that these columns could have. */
function suggested(columns: Column[]): string {
  const named = columns.filter(({ name, computed }) => /^[A-Za-z_]\w*$/.test(name) && !computed);
  const number = named.findLast(({ kind, key }) => key === 0 && (kind === "int" || kind === "float"));
  const text = named.findLast(({ kind, key }) => key === 0 && (kind === "text" || kind === "category"));
  const parts = [number && `${number.name} > 60`, text && `${text.name} == '${text.categories?.[0] ?? "a"}'`].filter(Boolean);
  return parts.length ? `condition, such as ${parts.join(" && ")}` : "condition in CEL";
}

/** Lines without the blanks that all of them begin with. */
function unindented(lines: string[]): string {
  const blanks = Math.min(...lines.map((line) => line.search(/\S|$/)));
  return lines.map((line) => line.slice(blanks)).join("\n");
}

function mark(input: HTMLInputElement, wrong: boolean): void {
  if (wrong) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}
