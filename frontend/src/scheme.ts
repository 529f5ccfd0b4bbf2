/** Light or dark: what JupyterLab says, else what the page is painted with, else what the system prefers. */

type Scheme = "light" | "dark";

const brush = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

/** Red, green, blue and alpha from 0 to 255 of a colour in whatever notation of CSS: marimo's are given as oklch. */
function painted(colour: string): [number, number, number, number] {
  if (!brush) return [0, 0, 0, 0];
  brush.clearRect(0, 0, 1, 1);
  brush.fillStyle = colour;
  brush.fillRect(0, 0, 1, 1);
  const [red = 0, green = 0, blue = 0, alpha = 0] = brush.getImageData(0, 0, 1, 1).data;
  return [red, green, blue, alpha];
}

function schemeAround(element: HTMLElement): Scheme {
  const said = document.body.dataset.jpThemeLight;
  if (said !== undefined) return said === "false" ? "dark" : "light";
  for (let at: HTMLElement | null = element; at; at = at.parentElement ?? (at.getRootNode() as ShadowRoot).host as HTMLElement | null) {
    const [red, green, blue, alpha] = painted(getComputedStyle(at).backgroundColor);
    if (alpha > 127) return 0.299 * red + 0.587 * green + 0.114 * blue < 128 ? "dark" : "light";
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
