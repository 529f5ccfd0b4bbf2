/** Light or dark: what JupyterLab says, else what the page is painted with, else what the system prefers. */

type Scheme = "light" | "dark";

function schemeAround(element: HTMLElement): Scheme {
  const said = document.body.dataset.jpThemeLight;
  if (said !== undefined) return said === "false" ? "dark" : "light";
  for (let at: HTMLElement | null = element; at; at = at.parentElement ?? (at.getRootNode() as ShadowRoot).host as HTMLElement | null) {
    const painted = getComputedStyle(at).backgroundColor.match(/[\d.]+/g)?.map(Number) ?? [];
    const [red = 0, green = 0, blue = 0, alpha = 1] = painted;
    if (painted.length >= 3 && alpha > 0.5) return 0.299 * red + 0.587 * green + 0.114 * blue < 128 ? "dark" : "light";
  }
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

/** Keep `data-scheme` of an element right; returns what stops that. */
export function followScheme(root: HTMLElement, around: HTMLElement): () => void {
  const set = (): void => {
    root.dataset.scheme = schemeAround(around);
  };
  const seen = new MutationObserver(set);
  for (const element of [document.documentElement, document.body])
    seen.observe(element, { attributes: true, attributeFilter: ["class", "style", "data-jp-theme-light", "data-theme"] });
  const preference = matchMedia("(prefers-color-scheme: dark)");
  preference.addEventListener("change", set);
  set();
  return () => {
    seen.disconnect();
    preference.removeEventListener("change", set);
  };
}
