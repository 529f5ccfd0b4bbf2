/** Taking what is shown out of the grid: into a variable of the notebook, or a file beside it. */

import { button, h, plural } from "./dom";
import { Progress } from "./progress";
import type { Rpc } from "./rpc";
import { sheet } from "./sheet";
import type { Query } from "./wire";

const TARGETS = {
  variable: { label: "A DataFrame in the notebook", name: "Name of the variable", ending: "" },
  csv: { label: "A CSV file", name: "File name, beside the notebook", ending: ".csv" },
  parquet: { label: "A Parquet file", name: "File name, beside the notebook", ending: ".parquet" },
} as const;

/** Open the sheet; `shown` says what is shown when it is exported, `say` tells the result where the sheet is closed by then. */
export function exportSheet(host: HTMLElement, rpc: Rpc, shown: () => { query: Query; total: string }, say: (said: string, kind: "good" | "bad") => void): void {
  const { body, foot, close } = sheet(host, "Export what is shown");
  const to = h("select", { "aria-label": "Export to" }, ...Object.entries(TARGETS).map(([value, { label }]) => h("option", { value, text: label })));
  const name = h("input", { type: "text", class: "exact", autocomplete: "off", spellcheck: "false" });
  const result = h("p", { role: "status" });
  const progress = new Progress(() => rpc.cancel());
  const suggested = shown().query.store.replace(/\W+/g, "_").replace(/^(?=\d)/, "_");
  const chosen = (): (typeof TARGETS)[keyof typeof TARGETS] => TARGETS[to.value as keyof typeof TARGETS];
  const suggest = (): void => {
    name.value = suggested + chosen().ending;
    name.setAttribute("aria-label", chosen().name);
    caption.textContent = chosen().name;
  };
  const caption = h("span");
  const told = (total: string): string => `${total}: in this order, with this search and these columns.`;
  const lead = h("p", { class: "lead", text: told(shown().total) });
  const go = button("Export", () => void run(), { class: "primary" });

  async function run(): Promise<void> {
    if (go.disabled) return;
    const { query, total } = shown();
    lead.textContent = told(total);
    go.disabled = true;
    result.textContent = "";
    progress.begin("Exporting");
    try {
      const args = { query, to: to.value, name: name.value.trim() };
      const done = await rpc.task<{ rows: number; name: string }>("export", args, (far) => progress.show(far));
      tell(`${plural(done.rows, "row")} in ${done.name}`, "good");
    } catch (error) {
      tell(error instanceof Error ? error.message : String(error), "bad");
    }
    progress.end();
    go.disabled = false;
  }

  function tell(said: string, kind: "good" | "bad"): void {
    result.className = kind;
    result.textContent = said;
    if (!result.isConnected) say(said, kind);
  }

  to.addEventListener("change", suggest);
  name.addEventListener("keydown", (event) => event.key === "Enter" && void run());
  body.append(
    lead,
    h("label", { class: "line-label" }, h("span", { text: "To" }), to),
    h("label", { class: "line-label" }, caption, name),
    progress.element,
    result,
  );
  foot.append(h("div", { class: "foot-line end" }, button("Close", close), go));
  suggest();
  to.focus();
}
