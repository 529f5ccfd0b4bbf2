/** Which columns are shown, and where they stand. */

import { button, h } from "./dom";
import { typeMark } from "./headers";
import { sheet } from "./sheet";
import type { Column, Order } from "./wire";

/** The columns of these names: those of an order first, then those of the key. */
export function arranged(columns: Column[], names: string[], order: Order["fields"]): Column[] {
  const by = new Map(columns.map((column) => [column.name, column]));
  const shown = names.flatMap((name) => by.get(name) ?? []);
  const fields = order.map(({ name }) => name);
  const rank = ({ name, key }: Column): number => (fields.includes(name) ? fields.indexOf(name) : key ? fields.length + key : Infinity);
  return shown.sort((a, b) => (rank(a) === rank(b) ? 0 : rank(a) - rank(b)));
}

/** Open the chooser; `choose` gets the names to show, null for all. */
export function chooseColumns(host: HTMLElement, columns: Column[], shown: string[] | null, choose: (names: string[] | null) => Promise<void>): void {
  const { body, foot, close } = sheet(host, "Columns");
  const boxes = new Map<string, HTMLInputElement>();
  const filter = h("input", { type: "text", "aria-label": "Find a column", placeholder: "Find a column", autocomplete: "off" });
  const list = h("ul", { class: "chooser" });
  for (const column of columns) {
    const box = h("input", { type: "checkbox" });
    box.checked = shown === null || shown.includes(column.name);
    box.addEventListener("change", () => void apply());
    boxes.set(column.name, box);
    list.append(
      h(
        "li",
        { "data-name": column.name },
        h(
          "label",
          {},
          box,
          h("span", { class: "name", text: column.label }),
          column.key > 0 && h("span", { class: "key", text: "key" }),
          h("span", { class: "type", title: column.type, text: typeMark(column.type) }),
        ),
      ),
    );
  }
  filter.addEventListener("input", () => {
    const items = [...list.children] as HTMLElement[];
    for (const item of items) item.hidden = !item.dataset.name?.toLowerCase().includes(filter.value.toLowerCase());
    nowhere.hidden = items.some(({ hidden }) => !hidden);
  });

  async function apply(): Promise<void> {
    const names = [...boxes].filter(([, box]) => box.checked).map(([name]) => name);
    none.hidden = names.length > 0;
    if (names.length) await choose(names.length === boxes.size ? null : names);
  }

  const set = (checked: (column: Column) => boolean): void => {
    for (const column of columns) (boxes.get(column.name) as HTMLInputElement).checked = checked(column);
    void apply();
  };
  const none = h("p", { class: "refusal", role: "alert", text: "At least one column stays" });
  none.hidden = true;
  const nowhere = h("p", { class: "muted", role: "status", text: "No column has such a name" });
  nowhere.hidden = true;
  body.append(
    filter,
    h("div", { class: "foot-line" }, button("All", () => set(() => true)), button("Key only", () => set(({ key }) => key > 0))),
    none,
    nowhere,
    list,
  );
  foot.append(h("div", { class: "foot-line end" }, button("Done", close, { class: "primary" })));
  filter.focus();
}
