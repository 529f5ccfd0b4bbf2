/** What lies over the grid: a sheet at its right side, and a dialog over the page. Both keep the focus and give it back. */

import { button, h } from "./dom";

export interface Sheet {
  element: HTMLElement;
  body: HTMLElement;
  foot: HTMLElement;
  close(): void;
}

/** Open a sheet over the right side of the grid; one at a time, Escape closes it. */
export function sheet(host: HTMLElement, title: string, onClose: () => void = () => {}): Sheet {
  host.querySelector<HTMLElement>(":scope > .sheet")?.dispatchEvent(new CustomEvent("dismiss"));
  const before = (host.getRootNode() as ShadowRoot).activeElement;
  const body = h("div", { class: "sheet-body" });
  const foot = h("div", { class: "sheet-foot" });
  let open = true;
  const close = (): void => {
    if (!open) return;
    open = false;
    element.remove();
    onClose();
    if (before instanceof HTMLElement && before.isConnected) before.focus();
  };
  const element = h(
    "section",
    { class: "sheet", role: "dialog", "aria-label": title, tabindex: "-1" },
    h("header", { class: "sheet-head" }, h("h2", { text: title }), button("Close", close, { icon: "close", bare: true, class: "quiet" })),
    body,
    foot,
  );
  element.addEventListener("dismiss", close);
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    event.preventDefault();
    close();
  });
  host.append(element);
  element.focus();
  return { element, body, foot, close };
}

/** Ask in a dialog over the page; returns the value of the button that was pressed, "" where it was dismissed. */
export function ask(
  host: HTMLElement,
  title: string,
  body: Node[],
  choices: { label: string; value: string; class?: string }[],
): Promise<string> {
  return new Promise((resolve) => {
    const { dialog, foot } = modal(host, title, body, () => resolve(dialog.returnValue));
    for (const { label, value, class: kind } of choices) foot.append(button(label, () => dialog.close(value), { class: kind ?? "" }));
    foot.querySelector<HTMLElement>("button:last-child")?.focus();
  });
}

/** Open a dialog over the page. */
export function modal(
  host: HTMLElement,
  title: string,
  body: Node[],
  onClose: () => void,
  kind = "",
): { dialog: HTMLDialogElement; foot: HTMLElement } {
  const before = (host.getRootNode() as ShadowRoot).activeElement;
  const foot = h("div", { class: "dialog-foot" });
  const dialog = h(
    "dialog",
    { class: `modal ${kind}`, "aria-label": title },
    h("h2", { text: title }),
    h("div", { class: "dialog-body" }, ...body),
    foot,
  );
  dialog.addEventListener("close", () => {
    dialog.remove();
    onClose();
    if (before instanceof HTMLElement && before.isConnected) before.focus();
  });
  host.append(dialog);
  dialog.showModal();
  return { dialog, foot };
}
