/** How far work is that takes long, and the button that ends it. */

import { button, count, h } from "./dom";
import type { Far } from "./rpc";

export class Progress {
  readonly element: HTMLElement;
  private readonly far = h("div", { class: "far" });
  private readonly stop: HTMLButtonElement;

  constructor(cancel: () => void) {
    this.stop = button("Cancel", () => {
      this.stop.disabled = true;
      cancel();
    });
    this.element = h("div", { class: "progress", hidden: true }, this.far, this.stop);
  }

  begin(what: string): void {
    this.element.hidden = false;
    this.stop.disabled = false;
    this.show({ what, done: 0, total: null });
  }

  show({ what, done, total }: Far): void {
    const bar = h("progress", { "aria-label": what, ...(total ? { max: String(total), value: String(done) } : {}) });
    this.far.replaceChildren(h("span", { text: what }), bar, h("span", { class: "exact muted", text: done ? `${count(done)}${total ? ` of ${count(total)}` : ""}` : "" }));
  }

  end(): void {
    this.element.hidden = true;
  }
}
