/** What the page loads: `render` puts a browser of stores into an element, for anywidget and for anything that looks like it. */

import { App } from "./app";
import { h } from "./dom";
import type { Model } from "./rpc";
import { followScheme } from "./scheme";
import css from "./theme.css";

/** What the keys that are pressed in here do is nobody else's matter. */
const KEYS = ["keydown", "keyup", "keypress", "copy", "cut", "paste"];

function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  const host = h("div", { "data-lm-suppress-shortcuts": "true" });
  el.append(host);
  el.setAttribute("data-lm-suppress-shortcuts", "true");
  for (const name of KEYS) host.addEventListener(name, (event) => event.stopPropagation());
  const shadow = host.attachShadow({ mode: "open" });
  const root = h("div", { class: "sopnb", role: "region", "aria-label": "Browser of stores" });
  shadow.append(h("style", { text: css }), root);
  const setHeight = (): void => {
    const height = model.get("height");
    root.style.height = typeof height === "number" ? `${height}px` : typeof height === "string" && height ? height : "";
  };
  setHeight();
  model.on("change:height", setHeight);
  const unfollow = followScheme(root, el);
  const app = new App(model, shadow, root);
  void app.start();
  return () => {
    unfollow();
    model.off("change:height", setHeight);
    app.destroy();
    host.remove();
  };
}

export default { render };
