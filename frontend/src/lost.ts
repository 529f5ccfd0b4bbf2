/** What is said where the kernel of a widget is gone; what it showed last is still to be seen, and can no more be used. */

import { h, icon } from "./dom";

export function showLost(root: HTMLElement): void {
  for (const dialog of root.querySelectorAll("dialog")) dialog.close();
  for (const part of root.children) (part as HTMLElement).inert = true;
  const what = "The kernel that this belongs to is gone. What was committed is kept, changes that waited are not. Run the cell again to go on.";
  root.prepend(h("div", { class: "lost", role: "alert" }, icon("warning"), h("span", { text: what })));
}
