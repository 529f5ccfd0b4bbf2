/** Editors of values, one for each kind: exact texts, never numbers. In a cell they are AG Grid editors, in a form fields. */

import type { ICellEditorComp, ICellEditorParams } from "ag-grid-community";

import { text } from "./cells";
import { button, h } from "./dom";
import { type Column, isCut, type Kind, type Row, type Wire } from "./wire";

/** What is to be typed, by kind. */
const EXAMPLES: Record<Kind, string> = {
  bool: "",
  int: "whole number",
  float: "number or NaN",
  decimal: "number",
  text: "",
  category: "",
  bytes: "base64",
  date: "2013-01-31",
  time: "10:00:00",
  timestamp: "2013-01-31T10:00:00",
  duration: "seconds",
  json: '{"a": 1}',
};

export function example(column: Column): string {
  return column.kind === "timestamp" && column.zone ? `${EXAMPLES.timestamp} (${column.zone})` : EXAMPLES[column.kind];
}

/** Whether a value can be edited within its cell; documents, bytes, many lines and cut values need the large editor. */
export function inGrid(column: Column, value: Wire | undefined): boolean {
  if (!column.editable || column.kind === "json" || column.kind === "bytes") return false;
  return !isCut(value) && !(typeof value === "string" && /[\r\n]/.test(value));
}

/** What was typed, in the form of the wire; the kernel judges it. */
export function typed(given: string, kind: Kind): Wire {
  const trimmed = given.trim();
  if (kind === "text" || kind === "category" || kind === "json") return given;
  if (kind === "bool") return trimmed === "true" ? true : trimmed === "false" ? false : trimmed;
  if (kind === "float") {
    // "0x10" and "" would be numbers in JavaScript only; the kernel refuses what is none
    const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(trimmed) ? Number(trimmed) : Number.NaN;
    return Object.is(number, -0) ? "-0" : Number.isFinite(number) ? number : named(trimmed);
  }
  return trimmed;
}

function named(given: string): string {
  const names: Record<string, string> = { nan: "NaN", inf: "Infinity", "+inf": "Infinity", infinity: "Infinity", "-inf": "-Infinity", "-infinity": "-Infinity" };
  return names[given.toLowerCase()] ?? given;
}

let made = 0;

/** A field for one value, with a way to say null. */
export class Field {
  readonly element: HTMLElement;
  readonly input: HTMLInputElement | HTMLSelectElement;
  private isNull: boolean;

  constructor(
    readonly column: Column,
    start: Wire | undefined,
    label: string,
  ) {
    const { kind } = column;
    this.isNull = start === null || start === undefined;
    const more: Node[] = [];
    if (kind === "bool") {
      const options = ["true", "false", ...(column.nullable || this.isNull ? ["null"] : [])];
      this.input = h("select", { "aria-label": label }, ...options.map((name) => h("option", { value: name, text: name })));
      this.input.value = this.isNull ? "null" : String(start);
      this.input.addEventListener("change", () => {
        this.isNull = this.input.value === "null";
      });
    } else {
      const input = h("input", {
        type: "text",
        "aria-label": label,
        autocomplete: "off",
        spellcheck: "false",
        class: kind === "text" || kind === "category" ? "" : "exact",
        placeholder: this.isNull ? "null" : example(column),
      });
      this.input = input;
      input.value = text(start);
      input.addEventListener("input", () => this.setNull(false));
      input.addEventListener("keydown", (event) => {
        if (event.key === "Backspace" && (event.ctrlKey || event.metaKey) && column.nullable) {
          event.preventDefault();
          this.setNull(true);
        }
      });
      if (kind === "category" && column.categories) {
        const id = `categories-${++made}`;
        input.setAttribute("list", id);
        more.push(h("datalist", { id }, ...column.categories.slice(0, 1000).map((value) => h("option", { value }))));
      }
      if (kind === "date" || kind === "timestamp") more.push(this.calendar(input));
      if (column.nullable)
        more.push(button("Set null (Ctrl+Backspace)", () => this.setNull(true), { class: "tiny nullify", text: "null", tabindex: "-1", bare: true }));
    }
    this.element = h("div", { class: `field ${this.isNull ? "is-null" : ""}` }, this.input, ...more);
  }

  /** The value in the form of the wire. */
  get value(): Wire {
    return this.isNull ? null : typed(this.input.value, this.column.kind);
  }

  get typed(): string {
    return this.input.value;
  }

  set(given: string): void {
    this.input.value = given;
    this.setNull(false, given);
  }

  private setNull(isNull: boolean, keep?: string): void {
    this.isNull = isNull;
    this.element.classList.toggle("is-null", isNull);
    if (this.input instanceof HTMLInputElement) this.input.placeholder = isNull ? "null" : example(this.column);
    if (isNull && keep === undefined) this.input.value = "";
    this.input.focus();
  }

  /** The browser's calendar; it gives the day and leaves the time as it is. */
  private calendar(input: HTMLInputElement): HTMLElement {
    const days = h("input", { type: "date", class: "days", tabindex: "-1", "aria-hidden": "true" });
    days.addEventListener("change", () => {
      if (!days.value) return;
      const rest = this.column.kind === "date" ? "" : (input.value.match(/[T ].*$/)?.[0] ?? "T00:00:00");
      this.set(days.value + rest);
    });
    const open = button(
      "Calendar",
      () => {
        days.value = input.value.slice(0, 10);
        days.showPicker();
      },
      { icon: "calendar", bare: true, class: "tiny", tabindex: "-1" },
    );
    return h("span", { class: "calendar" }, open, days);
  }
}

interface Given extends ICellEditorParams<Row> {
  about: Column;
  refusal(row: Row): { text: string; message: string } | undefined;
}

/** The editor in a cell: a field over the cell, with what the kernel said of the last try beneath it. */
export class Editor implements ICellEditorComp {
  private field!: Field;
  private element!: HTMLElement;
  private start: Wire | undefined;
  private key: string | null = null;
  private refused: string | null = null;
  private entered = false;

  init(given: Given): void {
    const { value, data, eventKey, about: column } = given;
    const refusal = given.refusal(data);
    this.start = value as Wire;
    this.field = new Field(column, this.start, column.label);
    if (refusal) {
      this.refused = refusal.text;
      this.field.input.value = refusal.text;
    } else if (eventKey && eventKey.length === 1) this.key = eventKey;
    this.element = h(
      "div",
      { class: `editor kind-${column.kind}`, style: `min-width:${Math.max(given.column.getActualWidth(), column.kind === "timestamp" ? 250 : 130)}px` },
      this.field.element,
      refusal ? h("div", { class: "refusal", role: "alert", text: refusal.message }) : null,
    );
    if (refusal) this.field.input.setAttribute("aria-invalid", "true");
    this.element.addEventListener("keydown", ({ key }) => {
      this.entered = key === "Enter";
    });
  }

  getGui(): HTMLElement {
    return this.element;
  }

  isPopup(): boolean {
    return true;
  }

  getPopupPosition(): "over" {
    return "over";
  }

  afterGuiAttached(): void {
    const { input } = this.field;
    this.element.closest("[role=dialog]")?.setAttribute("aria-label", `Edit ${this.field.column.label}`);
    input.focus();
    if (this.key !== null && input instanceof HTMLInputElement) this.field.set(this.key);
    else if (input instanceof HTMLInputElement) input.select();
  }

  /** Undefined where nothing was changed, and what was refused is left without Enter: then nothing is sent. */
  getValue(): Wire | undefined {
    const { value } = this.field;
    if (this.refused !== null && this.field.typed === this.refused && value !== null) return this.entered ? value : undefined;
    return value === this.start || (this.field.typed === text(this.start) && (value === null) === (this.start === null)) ? undefined : value;
  }
}
