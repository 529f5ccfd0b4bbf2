/** What stands in the place of rows where there are none, and why there are none. */

import { h, icon } from "./dom";

export class Blank {
  readonly element = h("div", { class: "blank", role: "status" });

  /** Let the rows be seen. */
  hide(): void {
    this.element.hidden = true;
    this.element.className = "blank";
    this.element.replaceChildren();
  }

  /** Say something; `next` are buttons for what can be done about it. */
  say(kind: "loading" | "empty" | "nothing", title: string, more = "", ...next: HTMLElement[]): void {
    this.show(kind, title, more, next);
  }

  /** Say what went wrong. */
  fail(title: string, more: string, ...next: HTMLElement[]): void {
    this.show("error", title, more, next);
    this.element.prepend(icon("warning"));
  }

  private show(kind: string, title: string, more: string, next: HTMLElement[]): void {
    this.element.className = `blank ${kind}`;
    this.element.hidden = false;
    this.element.replaceChildren(
      h("p", { class: "blank-title", text: title }),
      ...(more ? [h("p", { text: more })] : []),
      ...(next.length ? [h("div", { class: "group" }, ...next)] : []),
    );
  }
}
