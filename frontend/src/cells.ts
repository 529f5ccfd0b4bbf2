/** How values look: the text of a value of the wire, and the element that shows it in a cell. */

import { count, h, size } from "./dom";
import { type Column, isCut, type Kind, type Wire } from "./wire";

const RIGHT = new Set<Kind>(["int", "float", "decimal", "duration"]);
const LONGEST_FRACTION = 8;
const FIXED = new Set<Kind>(["date", "time", "timestamp", "bytes", "json"]);

export function isRight(kind: Kind): boolean {
  return RIGHT.has(kind);
}

/** The classes of the cells of a column. */
export function look(column: Column): string[] {
  return [`kind-${column.kind}`, isRight(column.kind) ? "right" : "", FIXED.has(column.kind) ? "fixed" : "", column.key ? "of-key" : ""].filter(
    Boolean,
  );
}

/** The whole text of a value, as it is edited and copied; null is the empty text. */
export function text(value: Wire | undefined): string {
  if (value === null || value === undefined) return "";
  return isCut(value) ? value.cut : Object.is(value, -0) ? "-0" : String(value);
}

/** How many digits stand behind the point of the values of a column, at most; the long tails of computed ones are not counted. */
export function fraction(values: (Wire | undefined)[], kind: Kind): number {
  if (kind !== "float" && kind !== "duration") return 0;
  const digits = values.map((value) => /\.(\d+)$/.exec(text(value))?.[1]?.length ?? 0);
  return Math.max(0, ...digits.filter((each) => each <= LONGEST_FRACTION));
}

/** What a number lacks of so many digits behind its point, the point among it; "" for what has no such digits. */
export function lacking(shown: string, digits: number): string {
  const found = /^-?\d+(?:\.(\d+))?$/.exec(shown);
  if (!found || !digits) return "";
  const own = found[1] ?? "";
  return (own ? "" : ".") + "0".repeat(Math.max(0, digits - own.length));
}

function hex(base64: string): { shown: string; bytes: number } {
  let raw = "";
  try {
    raw = atob(base64.slice(0, 64));
  } catch {
    return { shown: base64, bytes: base64.length };
  }
  const bytes = (base64.length / 4) * 3 - (base64.endsWith("==") ? 2 : base64.endsWith("=") ? 1 : 0);
  const shown = Array.from(raw.slice(0, 12), (byte) => byte.charCodeAt(0).toString(16).padStart(2, "0")).join(" ");
  return { shown: bytes > 12 ? `${shown} …` : shown, bytes };
}

/** What a cell says of a value: one line. */
export function told(value: Wire | undefined, kind: Kind): string {
  if (value === null || value === undefined) return "null";
  if (isCut(value)) return kind === "bytes" ? hex(value.cut).shown : `${oneLine(value.cut)}…`;
  if (kind === "bytes") return hex(String(value)).shown;
  if (kind === "timestamp") return instant(String(value)).join(" ").trim();
  return oneLine(text(value));
}

function oneLine(given: string): string {
  return given.length > 400 ? oneLine(given.slice(0, 400)) : given.replace(/\r\n|\r|\n/g, " ↵ ").replace(/\t/g, " ⇥ ");
}

/** Day and time, and the offset. */
function instant(iso: string): [string, string] {
  const offset = iso.match(/(Z|[+-]\d\d:?\d\d(?::\d\d)?)$/)?.[0] ?? "";
  const local = (iso.includes("T") ? iso.slice(0, iso.length - offset.length) : iso).replace("T", " ");
  return [local, iso.includes("T") ? offset : ""];
}

/** The element that shows a value; a number keeps room for so many `digits` behind its point. */
export function cell(value: Wire | undefined, column: Column, digits = 0): HTMLElement {
  const { kind } = column;
  if (value === null || value === undefined) return h("span", { class: "null", text: "null" });
  if (isCut(value))
    return h("span", { class: "cut" }, h("span", { class: "line", dir: "auto", text: told(value, kind) }), h("span", { class: "badge", text: long(value.size, kind) }));
  switch (kind) {
    case "bool":
      return h("span", { class: `bool ${value ? "true" : "false"}`, text: value ? "true" : "false" });
    case "category":
      return h("span", { class: "category", text: oneLine(String(value)) });
    case "timestamp": {
      const [local, offset] = instant(String(value));
      return h("span", {}, local, offset ? h("span", { class: "offset", text: offset === "+00:00" ? "Z" : offset }) : null);
    }
    case "duration":
      return h("span", {}, h("span", { text: String(value), "data-fill": lacking(String(value), digits) || null }), h("span", { class: "offset unit", text: " s" }));
    case "float":
      return h("span", { text: text(value), "data-fill": lacking(text(value), digits) || null });
    case "bytes": {
      const { shown, bytes } = hex(String(value));
      return h("span", { class: "cut" }, h("span", { class: "line", text: shown }), h("span", { class: "badge", text: size(bytes) }));
    }
    case "text":
      return value === "" ? h("span", { class: "null", text: "empty" }) : h("span", { class: "text", dir: "auto", text: oneLine(String(value)) });
    default:
      return h("span", { text: told(value, kind) });
  }
}

function long(length: number, kind: Kind): string {
  return kind === "bytes" ? size(length) : `${count(length)} chars`;
}
