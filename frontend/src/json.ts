/** The large editor: documents with their syntax errors, long texts, bytes. */

import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { json, jsonParseLinter } from "@codemirror/lang-json";
import { bracketMatching, defaultHighlightStyle, ensureSyntaxTree, foldGutter, foldKeymap, HighlightStyle, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import { type Diagnostic, forEachDiagnostic, linter, lintGutter, setDiagnostics } from "@codemirror/lint";
import { EditorState, type Extension } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";

import { button, h } from "./dom";
import { modal } from "./sheet";
import type { Column, Wire } from "./wire";

const STYLE = HighlightStyle.define([
  { tag: tags.propertyName, color: "var(--code-name)" },
  { tag: tags.string, color: "var(--code-text)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--code-number)" },
  { tag: tags.invalid, color: "var(--bad)" },
]);

const LOOK = {
  "&": { height: "100%", backgroundColor: "var(--surface)", color: "var(--ink)", fontSize: "12.5px" },
  "&.cm-focused": { outline: "none" }, // the frame around it shows the focus
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.5" },
  ".cm-content": { caretColor: "var(--ink)" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  ".cm-gutters": { backgroundColor: "var(--raised)", color: "var(--muted)", borderRight: "1px solid var(--hair)" },
  ".cm-activeLine": { backgroundColor: "var(--hover)" },
  ".cm-activeLineGutter": { backgroundColor: "var(--hover)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    background: "color-mix(in srgb, var(--accent) 28%, transparent)",
  },
  ".cm-tooltip": { border: "1px solid var(--line)", backgroundColor: "var(--surface)", color: "var(--ink)" },
};

/** A text with this line end only is split there, any other at each line feed: the editor changes no character that was not typed. */
const BOTH = "\r\n";

/** Open the editor of a value; `save` throws what the kernel says of it, and the editor stays open. */
export function largeEditor(
  host: HTMLElement,
  column: Column,
  whole: string | null,
  editable: boolean,
  save: (value: Wire) => Promise<void>,
): void {
  const isJson = column.kind === "json";
  const ends = (whole ?? "").replaceAll(BOTH, "").match(/[\r\n]/) || !whole?.includes(BOTH) ? "\n" : BOTH;
  let sending = false;
  let warned = false;
  const shown = isJson && whole !== null ? pretty(whole) : (whole ?? "");
  const status = h("div", { class: "json-status", role: "status" });
  const place = h("div", { class: "code" });
  const extensions: Extension[] = [
    EditorView.theme(LOOK, { dark: host.dataset.scheme === "dark" }),
    lineNumbers(),
    history(),
    drawSelection(),
    EditorView.lineWrapping,
    EditorView.contentAttributes.of({ "aria-label": `${column.label} as text` }),
    EditorState.readOnly.of(!editable),
    isJson ? [] : EditorState.lineSeparator.of(ends),
    EditorView.editable.of(true),
    keymap.of([{ key: "Mod-Enter", run: () => (accept(), true) }, indentWithTab, ...defaultKeymap, ...historyKeymap, ...foldKeymap]),
  ];
  if (isJson) {
    extensions.push(
      json(),
      foldGutter(),
      lintGutter(),
      linter((view) => (blank(view) ? [] : mistakes(view)), { delay: 150 }),
      syntaxHighlighting(STYLE),
      syntaxHighlighting(defaultHighlightStyle, { fallback: true }),
      bracketMatching(),
      indentOnInput(),
      highlightActiveLine(),
      EditorView.updateListener.of(() => told()),
    );
  }
  const { dialog, foot } = modal(host, `${column.label} · ${column.type}`, [place, status], () => view.destroy(), "large");
  const view = new EditorView({
    parent: place,
    root: host.getRootNode() as ShadowRoot,
    state: EditorState.create({ doc: shown, extensions }),
  });

  dialog.addEventListener("cancel", (event) => {
    if (warned || !editable || typed() === shown) return;
    event.preventDefault();
    warned = true;
    status.textContent = "This is not saved; Escape again forgets it";
    status.classList.add("bad");
  });

  function typed(): string {
    return view.state.sliceDoc();
  }

  function told(): void {
    let first: { from: number; message: string } | null = null;
    forEachDiagnostic(view.state, ({ message }, from) => {
      first ??= { from, message };
    });
    const found = first as { from: number; message: string } | null;
    if (!found) {
      if (status.classList.contains("syntax")) {
        status.textContent = ""; // what the kernel said stays
        status.classList.remove("bad", "syntax");
      }
      return;
    }
    const line = view.state.doc.lineAt(found.from);
    status.textContent = `Line ${line.number}, column ${found.from - line.from + 1}: ${found.message.replace(/, (\.\.\.)?".*is not valid JSON$/s, "")}`;
    status.classList.add("bad", "syntax");
  }

  async function send(value: Wire): Promise<void> {
    if (sending) return;
    sending = true;
    try {
      await save(value);
      dialog.close("saved");
    } catch (error) {
      status.textContent = error instanceof Error ? error.message : String(error);
      status.classList.add("bad");
    }
    sending = false;
  }

  function accept(): void {
    if (!editable) return;
    const given = typed();
    if (given === shown && whole !== null) return dialog.close(""); // as it was stored, to the last blank
    if (!isJson) return void send(given);
    const wrong = blank(view) ? [{ from: 0, to: 0, severity: "error" as const, message: "Nothing is no document" }] : mistakes(view);
    if (wrong.length) {
      view.dispatch(setDiagnostics(view.state, wrong as Diagnostic[]));
      view.dispatch({ selection: { anchor: wrong[0]?.from ?? 0 }, scrollIntoView: true });
      view.focus();
      told();
    } else void send(given);
  }

  if (isJson) foot.append(button("Format", () => replace(view, pretty(view.state.doc.toString())), { title: "Indent anew" }));
  if (editable && column.nullable) foot.append(button("Set null", () => void send(null)));
  foot.append(h("span", { class: "spring" }));
  foot.append(button(editable ? "Cancel" : "Close", () => dialog.close("")));
  if (editable) foot.append(button("Save", accept, { class: "primary", title: "Ctrl+Enter" }));
  view.focus();
}

/** What is wrong with a document, and where: the browser does not always say the place, the tree of the text does. */
function mistakes(view: EditorView): Diagnostic[] {
  return jsonParseLinter()(view).map((found) => {
    if (found.from > 0) return found;
    let at: number | null = null;
    ensureSyntaxTree(view.state, view.state.doc.length, 200)?.iterate({
      enter: ({ type, from }) => {
        if (type.isError) at ??= from;
      },
    });
    return { ...found, from: at ?? 0, to: at ?? 0 };
  });
}

function blank(view: EditorView): boolean {
  return view.state.doc.toString().trim() === "";
}

function replace(view: EditorView, text: string): void {
  if (!view.state.readOnly) view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } });
}

/** Indent a document by its characters alone: numbers never pass through JavaScript's. What is no JSON stays as it is. */
export function pretty(given: string): string {
  try {
    JSON.parse(given);
  } catch {
    return given;
  }
  let out = "";
  let depth = 0;
  const line = (): string => `\n${"  ".repeat(depth)}`;
  for (const token of given.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? []) {
    if (token === "{" || token === "[") {
      depth++;
      out += token + line();
    } else if (token === "}" || token === "]") {
      depth--;
      const empty = /[{[]\n *$/.exec(out);
      out = empty ? out.slice(0, empty.index + 1) + token : out + line() + token;
    } else if (token === ",") out += token + line();
    else if (token === ":") out += ": ";
    else out += token;
  }
  return out;
}
