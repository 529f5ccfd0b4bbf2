/** Elements, in one call. */

type Listener = (event: never) => void;
export interface Given {
  class?: string;
  text?: string;
  on?: Record<string, Listener>;
  [attribute: string]: unknown;
}

/** Make an element: attributes, listeners under `on`, text or children. False and null leave an attribute out. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  given: Given = {},
  ...children: (Node | string | null | false)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") element.textContent = String(value);
    else if (name === "on")
      for (const [event, listener] of Object.entries(value as Record<string, Listener>))
        element.addEventListener(event, listener as EventListener);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) if (child !== null && child !== false) element.append(child);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** Strokes on a field of 16 by 16. */
const STROKES = {
  stores: "M3 4c0-1 2.2-1.8 5-1.8S13 3 13 4v8c0 1-2.2 1.8-5 1.8S3 13 3 12zM3 4c0 1 2.2 1.8 5 1.8S13 5 13 4M3 8c0 1 2.2 1.8 5 1.8S13 9 13 8",
  columns: "M2.5 3h11v10h-11zM6.2 3v10M9.8 3v10",
  up: "M8 13V3M4 7l4-4 4 4",
  down: "M8 3v10M4 9l4 4 4-4",
  plus: "M8 3v10M3 8h10",
  trash: "M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.6 8.5h5.8l.6-8.5M6.8 7v3.8M9.2 7v3.8",
  paste: "M5.5 3.5h-2v10h9v-10h-2M5.5 2.3h5v2.4h-5zM6 8h4M6 10.5h4",
  copy: "M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z",
  export: "M8 2.5v8M4.8 7.3L8 10.5l3.2-3.2M2.5 12v1.5h11V12",
  search: "M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9zM10.3 10.3l3.2 3.2",
  first: "M4 3v10M12.5 3.5L7 8l5.5 4.5",
  previous: "M10.5 3.5L5 8l5.5 4.5",
  next: "M5.5 3.5L11 8l-5.5 4.5",
  last: "M12 3v10M3.5 3.5L9 8l-5.5 4.5",
  close: "M4 4l8 8M12 4l-8 8",
  calendar: "M2.5 4h11v9.5h-11zM2.5 7h11M5.5 2.5V5M10.5 2.5V5",
  chevron: "M6 4l4 4-4 4",
  index: "M2.5 4h6M2.5 8h4M2.5 12h2M11.5 3v10M9 10.5l2.5 2.5 2.5-2.5",
  undo: "M5.5 3L2.5 6l3 3M2.5 6h6.3a4 4 0 0 1 0 8H6",
  target: "M8 2v3M8 11v3M2 8h3M11 8h3M8 4.5a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7z",
  funnel: "M2.5 3h11L9.5 8v5l-3-1.5V8z",
  warning: "M8 2.5l6 11H2zM8 6.5v3.3M8 11.6v.4",
} as const;

export type Icon = keyof typeof STROKES;

export function icon(name: Icon): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  for (const [attribute, value] of Object.entries({ viewBox: "0 0 16 16", class: "icon", "aria-hidden": "true", focusable: "false" }))
    svg.setAttribute(attribute, value);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", STROKES[name]);
  svg.append(path);
  return svg;
}

/** A button with an icon, a text, or both; the title is its name where it has no text. */
export function button(label: string, act: () => void, given: Given & { icon?: Icon; bare?: boolean } = {}): HTMLButtonElement {
  const { icon: drawn, bare, ...rest } = given;
  return h(
    "button",
    { type: "button", title: rest.title ?? label, "aria-label": drawn || bare ? label : null, ...rest, on: { click: act } },
    drawn ? icon(drawn) : null,
    bare ? null : h("span", { text: label }),
  );
}

/** Give a button with an icon another text; it is its name where there is room for the icon only. */
export function rename(renamed: HTMLButtonElement, label: string): void {
  renamed.setAttribute("aria-label", label);
  (renamed.lastChild as HTMLElement).textContent = label;
}

const counting = new Intl.NumberFormat("en-US");

/** A count with separators: 336,776. */
export function count(n: number): string {
  return counting.format(n);
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

/** A size: 24.1 MB. */
export function size(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  for (; bytes >= 1000 && unit < units.length - 1; unit++) bytes /= 1000;
  return `${unit && bytes < 100 ? bytes.toFixed(1) : bytes.toFixed(0)} ${units[unit]}`;
}
