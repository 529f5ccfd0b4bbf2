/** The header of a column: its name, its type, its place in the key, and the order that a click gives. */

import type { IHeaderComp, IHeaderParams } from "ag-grid-community";

import { h, icon } from "./dom";
import type { Owner } from "./grid";
import type { Column } from "./wire";

interface Given extends IHeaderParams {
  about: Column;
  owner: Owner;
}

/** A type in a few words; the title has it whole. */
export function typeMark(type: string): string {
  if (type.startsWith("dictionary<")) return "category";
  const nested = /^(large_)?(list|struct|map|fixed_size_list)</.exec(type);
  if (nested) return nested[2] === "fixed_size_list" ? "list" : (nested[2] as string);
  return type.replace(/^large_/, "").replace(/^double$/, "float64").replace(/^float$/, "float32").replace("date32[day]", "date").replace(/decimal\d+/, "decimal").replace("tz=", "");
}

export class Header implements IHeaderComp {
  private readonly element = h("div", { class: "head" });
  private column!: Column;
  private owner!: Owner;
  private cell!: HTMLElement;

  init(given: Given): void {
    this.owner = given.owner;
    this.cell = given.eGridHeader;
    this.refresh(given);
    this.element.addEventListener("click", () => this.act());
    this.cell.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.ctrlKey) this.act();
    });
  }

  getGui(): HTMLElement {
    return this.element;
  }

  refresh({ about }: Given): boolean {
    this.column = about;
    this.draw();
    return true;
  }

  private act(): void {
    if (this.owner.ordering(this.column).leads) this.owner.orderBy(this.column);
  }

  private draw(): void {
    const { column } = this;
    const { place, descending, leads } = this.owner.ordering(column);
    this.element.classList.toggle("leads", leads);
    this.element.title = [
      column.name,
      column.type + (column.nullable ? "" : ", never null") + (column.computed ? ", computed" : ""),
      column.key ? `field ${column.key} of the key` : "",
      leads ? "click: order by it, again: the other way" : "",
    ]
      .filter(Boolean)
      .join("\n");
    const mark = place > 0 ? h("span", { class: "ordered" }, icon(descending ? "down" : "up"), place > 1 ? String(place) : null) : null;
    this.element.replaceChildren(
      h("span", { class: "name" }, h("span", { class: "label", text: column.label }), mark),
      h("span", { class: "type" }, column.key ? h("span", { class: "key", text: "key" }) : null, typeMark(column.type)),
    );
    setTimeout(() => {
      // after the grid, which takes a column that it does not sort itself for unsorted
      if (place === 1) this.cell.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else this.cell.removeAttribute("aria-sort");
    });
  }
}
