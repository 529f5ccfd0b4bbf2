/** The style sheet of a widget. Of two rules that weigh the same the later one holds, so the order of the files counts. */

import bars from "./bars.css";
import colours from "./colours.css";
import contrast from "./contrast.css";
import controls from "./controls.css";
import grid from "./grid.css";
import motion from "./motion.css";
import narrow from "./narrow.css";
import panel from "./panel.css";
import sheets from "./sheets.css";
import stores from "./stores.css";

export const LOOKS = [colours, controls, bars, stores, grid, sheets, narrow, motion, panel, contrast].join("\n");
