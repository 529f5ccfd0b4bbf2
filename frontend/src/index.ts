/** What the page loads: `render` puts a browser of stores into an element, for anywidget and for anything that looks like it. */

import { App } from "./app";
import { Builder } from "./builder";
import { h } from "./dom";
import { Past } from "./history";
import { LOOKS } from "./looks";
import type { Model } from "./rpc";
import { followScheme } from "./scheme";
import { Wizard } from "./wizard";

/** What is shown, and what a screen reader calls it, by the kind of the model. */
const SHOWN = {
  browser: { label: "Browser of stores", make: (model: Model, shadow: ShadowRoot, root: HTMLElement) => new App(model, shadow, root) },
  index: { label: "Builder of indexes", make: (model: Model, _: ShadowRoot, root: HTMLElement) => new Builder(model, root) },
  import: { label: "Import of data", make: (model: Model, _: ShadowRoot, root: HTMLElement) => new Wizard(model, root) },
  history: { label: "History", make: (model: Model, _: ShadowRoot, root: HTMLElement) => new Past(model, root) },
};

/** What the keys that are pressed in here do is nobody else's matter. */
const KEYS = ["keydown", "keyup", "keypress", "copy", "cut", "paste"];

function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  const host = h("div", { "data-lm-suppress-shortcuts": "true" });
  el.append(host);
  el.setAttribute("data-lm-suppress-shortcuts", "true");
  for (const name of KEYS) host.addEventListener(name, (event) => event.stopPropagation());
  const shadow = host.attachShadow({ mode: "open" });
  const { label, make } = SHOWN[model.get("kind") as keyof typeof SHOWN] ?? SHOWN.browser;
  const root = h("div", { class: "sopnb", role: "region", "aria-label": label });
  shadow.append(h("style", { text: LOOKS }), root);
  const setHeight = (): void => {
    const height = model.get("height");
    root.style.height = typeof height === "number" ? `${height}px` : typeof height === "string" && height ? height : "";
  };
  setHeight();
  model.on("change:height", setHeight);
  const unfollow = followScheme(root, el);
  const app = make(model, shadow, root);
  void app.start();
  const lose = (): void => app.lose(); // the last thing that ipywidgets tells of a model: its kernel was restarted
  model.on("comm_live_update", lose);
  return () => {
    unfollow();
    model.off("change:height", setHeight);
    model.off("comm_live_update", lose);
    app.destroy();
    host.remove();
  };
}

export default { render };
