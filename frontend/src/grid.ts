/** The grid: six calls over AG Grid, which alone is known here. Its rows are the positions of a query, fetched in blocks. */

import {
  CellApiModule,
  CellStyleModule,
  type CellKeyDownEvent,
  type ColDef,
  ColumnApiModule,
  createGrid,
  CustomEditorModule,
  EventApiModule,
  type GridApi,
  type IDatasource,
  InfiniteRowModelModule,
  ModuleRegistry,
  RenderApiModule,
  RowApiModule,
  RowSelectionModule,
  RowStyleModule,
  ScrollApiModule,
  themeQuartz,
} from "ag-grid-community";

import { cell, fraction, isRight, lacking, look, told } from "./cells";
import { count, h } from "./dom";
import { Editor, inGrid } from "./editors";
import { Header, typeMark } from "./headers";
import { type Column, isCut, type Page, type Row, type Wire } from "./wire";

ModuleRegistry.registerModules([
  CellApiModule,
  CellStyleModule,
  ColumnApiModule,
  CustomEditorModule,
  EventApiModule,
  InfiniteRowModelModule,
  RenderApiModule,
  RowApiModule,
  RowSelectionModule,
  RowStyleModule,
  ScrollApiModule,
]);

export const BLOCK = 100;
const BLOCKS = 30;
const WIDEST = 340;
const NARROWEST = 64;
const PLACE = "#place";

const THEME = themeQuartz.withParams({
  accentColor: "var(--accent)",
  backgroundColor: "var(--surface)",
  borderColor: "var(--line)",
  borderRadius: 0,
  browserColorScheme: "inherit",
  cellHorizontalPadding: 10,
  columnBorder: { style: "solid", width: 1, color: "var(--hair)" },
  fontFamily: "inherit",
  fontSize: 13,
  foregroundColor: "var(--ink)",
  headerBackgroundColor: "var(--raised)",
  headerColumnBorder: { style: "solid", width: 1, color: "var(--hair)" },
  headerFontSize: 13,
  headerHeight: 46,
  headerTextColor: "var(--ink)",
  rowBorder: { style: "solid", width: 1, color: "var(--hair)" },
  rowHeight: 29,
  rowHoverColor: "var(--hover)",
  selectedRowBackgroundColor: "var(--chosen)",
  spacing: 6,
  wrapperBorder: false,
  wrapperBorderRadius: 0,
});

/** What the grid asks of and tells to its owner. */
export interface Owner {
  /** Fetch a block of rows. */
  page(start: number, size: number): Promise<Page>;
  /** A cell that no small editor can hold is to be seen whole, or edited. */
  open(row: Row, column: Column): void;
  /** The focus moved to a row; -1 where there is none. */
  focused(position: number, row: Row | null): void;
  chosen(rows: Row[]): void;
  /** A header was clicked. */
  orderBy(column: Column): void;
  /** What the order says of a column: its direction and place, or that it leads some other order. */
  ordering(column: Column): { place: number; descending: boolean; leads: boolean };
  readonly editable: boolean;
}

/** Where the view was, so that it can be put back after rows came or went above it. */
export interface Place {
  top: number;
  row: Row | null;
}

export type Edit = (row: Row, column: Column, value: Wire) => void;

export class Grid {
  private readonly api: GridApi<Row>;
  private columns: Column[] = [];
  private names: string[] = [];
  private prefetched: Page | null = null;
  private edit: Edit = () => {};
  private refreshing = false;
  /** By how many rows the view is to be moved when an edit has ended. */
  private moving = 0;
  private readonly errors = new Map<string, { text: string; message: string }>();

  constructor(
    shadow: ShadowRoot,
    readonly element: HTMLElement,
    private readonly owner: Owner,
  ) {
    this.api = createGrid<Row>(element, {
      theme: THEME,
      themeStyleContainer: shadow as unknown as HTMLElement,
      rowModelType: "infinite",
      cacheBlockSize: BLOCK,
      maxBlocksInCache: BLOCKS,
      infiniteInitialRowCount: 1,
      maxConcurrentDatasourceRequests: 2,
      blockLoadDebounceMillis: 40,
      getRowId: ({ data }) => data.key,
      rowSelection: { mode: "multiRow", checkboxes: true, headerCheckbox: false, enableClickSelection: false },
      selectionColumnDef: { width: 38, pinned: "left", resizable: false, suppressHeaderMenuButton: true, headerClass: "bare" },
      defaultColDef: {
        sortable: false,
        resizable: true,
        suppressHeaderMenuButton: true,
        suppressKeyboardEvent: ({ event, editing }) => !editing && (event.ctrlKey || event.metaKey) && ["Home", "End"].includes(event.key),
      },
      suppressDragLeaveHidesColumns: true,
      suppressCellFocus: false,
      ensureDomOrder: true,
      enableCellTextSelection: false,
      animateRows: false,
      stopEditingWhenCellsLoseFocus: false,
      suppressNoRowsOverlay: true,
      rowClassRules: {
        "is-new": ({ data }) => data?.state === "new",
        "is-stale": ({ data }) => data?.state === "stale",
      },
      onCellFocused: ({ rowIndex }) => {
        const position = rowIndex ?? -1;
        this.owner.focused(position, this.row(position));
      },
      onSelectionChanged: () => this.owner.chosen(this.chosen()),
      onCellDoubleClicked: ({ data, column }) => this.opened(data, column.getColId()),
      onCellKeyDown: (event) => this.keyDown(event as CellKeyDownEvent<Row>),
      onCellEditingStopped: ({ data, column, node }) => {
        if (data && this.errors.delete(errorKey(data.key, column.getColId()))) this.api.refreshCells({ rowNodes: [node], force: true });
        if (!this.refreshing) return;
        const by = this.moving;
        this.moving = 0;
        this.refresh();
        this.shift(by);
      },
    });
  }

  // -- the six calls --------------------------------------------------------------------------------------------------------

  /** Show these columns of a page's columns; widths come from a sample of the rows. */
  setColumns(columns: Column[], sample: Page): void {
    this.columns = columns;
    this.names = sample.columns;
    const measure = ruler(this.element);
    const at = new Map(sample.columns.map((name, place) => [name, place]));
    const definitions: ColDef<Row>[] = columns.map((column) => {
      const place = at.get(column.name) ?? -1;
      const digits = fraction(sample.rows.map((row) => row.cells[place]), column.kind);
      const widest = Math.max(
        measure(column.label, true) + (this.owner.ordering(column).place ? 24 : 4),
        measure(typeMark(column.type), false) * 0.86 + (column.key ? 30 : 0),
        ...sample.rows.map((row) => breadth(row.cells[place], column, digits, measure)),
      );
      return {
        colId: column.name,
        headerName: column.label,
        width: Math.round(Math.min(WIDEST, Math.max(NARROWEST, widest + 26))),
        minWidth: 48,
        headerComponent: Header,
        headerComponentParams: { about: column, owner: this.owner },
        headerClass: isRight(column.kind) ? "right" : "",
        cellClass: look(column),
        cellClassRules: {
          "is-edited": ({ data }) => data?.edited.includes(column.name) === true,
          "is-refused": ({ data }) => data !== undefined && this.errors.has(errorKey(data.key, column.name)),
        },
        valueGetter: ({ data }) => data?.cells[place],
        equals: () => false,
        cellRenderer: ({ data, value }: { data?: Row; value: Wire }) =>
          data === undefined ? h("span", { class: "shimmer" }) : cell(value, column, digits),
        editable: ({ data }) => this.owner.editable && data !== undefined && inGrid(column, data.cells[place]),
        cellEditor: Editor,
        cellEditorParams: { about: column, refusal: (row: Row) => this.errors.get(errorKey(row.key, column.name)) },
        valueSetter: ({ data, newValue }) => {
          if (newValue !== undefined) this.edit(data, column, newValue as Wire);
          return false; // the kernel says what is to be shown
        },
      };
    });
    this.api.setGridOption("columnDefs", [
      {
        colId: PLACE,
        headerName: "",
        pinned: "left",
        width: Math.round(measure(count(Math.max(sample.total ?? 0, 9999)), false) + 22),
        resizable: false,
        suppressMovable: true,
        headerClass: "bare",
        cellClass: "place",
        valueGetter: ({ node }) => (node?.rowIndex == null ? "" : count(node.rowIndex + 1)),
      },
      ...definitions,
    ]);
  }

  /** Fetch what is shown anew; with a first page, begin anew from it, at the top. Waits for the end of an edit. */
  refresh(first?: Page): void {
    if (first) {
      this.refreshing = false;
      this.moving = 0;
      if (this.api.getDisplayedRowCount()) this.api.ensureIndexVisible(0, "top"); // while these rows are there: fewer may come
      this.prefetched = first;
      this.errors.clear();
      this.api.deselectAll();
      this.api.clearFocusedCell();
      this.api.setGridOption("datasource", this.source());
      this.fill(first);
      return;
    }
    if (this.api.isDestroyed()) return;
    this.refreshing = this.editing;
    if (!this.refreshing) this.api.refreshInfiniteCache();
  }

  /** Show no rows. */
  empty(): void {
    this.leave();
    this.api.setGridOption("datasource", { rowCount: 0, getRows: ({ successCallback }) => successCallback([], 0) });
  }

  /** Show the row at a position, and focus it. */
  goto(position: number, column?: string): void {
    const at = Math.max(0, position);
    if (at >= this.api.getDisplayedRowCount()) this.api.setRowCount(at + 1, true); // a row that is new; the next page says how many there are
    const shown = column ?? this.api.getFocusedCell()?.column.getColId() ?? this.columns[0]?.name;
    this.api.ensureIndexVisible(at, "middle");
    if (shown) this.api.setFocusedCell(at, shown);
  }

  /** What is called when a cell was edited. */
  onEdit(edit: Edit): void {
    this.edit = edit;
  }

  /** End an edit as Enter does: what was typed is not lost. */
  leave(): void {
    if (this.editing) this.api.stopEditing();
  }

  /** Whether the focus is in the grid, or nowhere. */
  private get focused(): boolean {
    const active = (this.element.getRootNode() as ShadowRoot).activeElement;
    return active === null || this.element.contains(active);
  }

  /** Show a row as the kernel has it; with a refusal, mark the cell, and go on editing what was typed unless something else is done by now. */
  restore(row: Row, refused?: { column: string; text: string; message: string }): void {
    const node = this.api.getRowNode(row.key);
    if (!refused) {
      for (const name of this.names) this.errors.delete(errorKey(row.key, name));
      node?.setData(row);
    } else if (node?.rowIndex != null) {
      this.errors.set(errorKey(row.key, refused.column), refused);
      this.api.refreshCells({ rowNodes: [node], force: true });
      if (this.editing || !this.focused) return;
      this.api.setFocusedCell(node.rowIndex, refused.column);
      this.api.startEditingCell({ rowIndex: node.rowIndex, colKey: refused.column });
    }
  }

  destroy(): void {
    this.api.destroy();
  }

  // -- what is seen of it ---------------------------------------------------------------------------------------------------

  row(position: number): Row | null {
    return position < 0 ? null : (this.api.getDisplayedRowAtIndex(position)?.data ?? null);
  }

  /** The selected rows, in the order in which they stand. */
  chosen(): Row[] {
    const nodes = this.api.getSelectedNodes().sort((a, b) => (a.rowIndex ?? Infinity) - (b.rowIndex ?? Infinity));
    return nodes.flatMap(({ data }) => data ?? []);
  }

  choose(rows: Row[]): void {
    this.api.deselectAll();
    for (const row of rows) this.api.getRowNode(row.key)?.setSelected(true);
  }

  get editing(): boolean {
    return !this.api.isDestroyed() && this.api.getEditingCells().length > 0;
  }

  focusedColumn(): Column | null {
    const id = this.api.getFocusedCell()?.column.getColId();
    return this.columns.find(({ name }) => name === id) ?? null;
  }

  focusedPosition(): number {
    return this.api.getFocusedCell()?.rowIndex ?? -1;
  }

  place(): Place {
    const top = Math.max(0, this.api.getFirstDisplayedRowIndex());
    return { top, row: this.row(top) };
  }

  /** The columns in the order in which they stand. */
  shown(): Column[] {
    const by = new Map(this.columns.map((column) => [column.name, column]));
    return this.api.getAllDisplayedColumns().flatMap((column) => by.get(column.getColId()) ?? []);
  }

  /** Move what is shown and the focus by so many rows, as rows came or went above. */
  shift(by: number): void {
    if (this.refreshing) {
      this.moving = by; // from where it is now: nothing is shown anew before
      return;
    }
    if (!by) return;
    const last = Math.max(0, this.api.getDisplayedRowCount() - 1);
    const focused = this.api.getFocusedCell();
    this.api.ensureIndexVisible(Math.min(Math.max(0, this.place().top + by), last), "top");
    if (focused) this.api.setFocusedCell(Math.min(Math.max(0, focused.rowIndex + by), last), focused.column);
  }

  focus(): void {
    const at = this.api.getFocusedCell();
    const column = at?.column ?? this.columns[0]?.name;
    if (column) this.api.setFocusedCell(at?.rowIndex ?? Math.max(0, this.api.getFirstDisplayedRowIndex()), column);
  }

  headersChanged(): void {
    this.api.refreshHeader();
  }

  // -- within ---------------------------------------------------------------------------------------------------------------

  /** Show a page that is there: the grid asks for it a moment later, and would show until then that it is being fetched. */
  private fill({ rows, total }: Page): void {
    this.api.setRowCount(total ?? rows.length, total !== null);
    for (const [at, row] of rows.entries()) {
      const node = this.api.getDisplayedRowAtIndex(at);
      node?.setData(row);
      if (node) node.id = row.key; // else the rows, and an editor in one, would be made anew when they are asked for
    }
  }

  private source(): IDatasource {
    return {
      getRows: async ({ startRow, endRow, successCallback, failCallback }) => {
        try {
          const ready = this.prefetched?.start === startRow ? this.prefetched : null;
          this.prefetched = null;
          const page = ready ?? (await this.owner.page(startRow, endRow - startRow));
          while (this.editedWithin(startRow, endRow)) await this.stopped();
          const ended = page.rows.length < endRow - startRow ? startRow + page.rows.length : undefined;
          successCallback(page.rows, page.total ?? ended);
        } catch {
          failCallback(); // the owner told it
        }
      },
    };
  }

  /** Whether a cell of these rows is edited: no other row may come under its editor, the edit would be made on that one. */
  private editedWithin(start: number, end: number): boolean {
    return this.editing && this.api.getEditingCells().some(({ rowIndex }) => rowIndex >= start && rowIndex < end);
  }

  /** Resolves when an edit ends. */
  private stopped(): Promise<void> {
    return new Promise((resolve) => {
      const heard = (): void => {
        this.api.removeEventListener("cellEditingStopped", heard);
        resolve();
      };
      this.api.addEventListener("cellEditingStopped", heard);
    });
  }

  private opened(row: Row | undefined, name: string): boolean {
    const column = this.columns.find((one) => one.name === name);
    if (!row || !column) return false;
    const value = row.cells[this.names.indexOf(name)];
    const small = inGrid(column, value);
    if (small && (this.owner.editable || !isCut(value))) return false;
    this.owner.open(row, column);
    return true;
  }

  private keyDown({ event, data, column, rowIndex, node }: CellKeyDownEvent<Row>): void {
    if (!(event instanceof KeyboardEvent) || this.editing || event.altKey) return;
    const plain = !event.ctrlKey && !event.metaKey;
    if ((event.key === "Enter" || event.key === "F2") && plain && this.opened(data, column.getColId())) event.preventDefault();
    if (event.key === " " && event.shiftKey) node.setSelected(!node.isSelected());
    if ((event.key === "ArrowUp" || event.key === "ArrowDown") && event.shiftKey && rowIndex !== null) {
      node.setSelected(true);
      const next = rowIndex + (event.key === "ArrowDown" ? 1 : -1);
      this.api.getDisplayedRowAtIndex(next)?.setSelected(true);
    }
  }
}

function errorKey(key: string, column: string): string {
  return `${column}\n${key}`;
}

/** What measures texts in the fonts of cells and headers. */
function ruler(element: HTMLElement): (text: string, bold: boolean) => number {
  const family = getComputedStyle(element).fontFamily || "sans-serif";
  const context = document.createElement("canvas").getContext("2d");
  return (text, bold) => {
    if (!context) return text.length * 7.5;
    context.font = `${bold ? "600 " : ""}13px ${family}`;
    return context.measureText(text).width;
  };
}

function breadth(value: Wire | undefined, column: Column, digits: number, measure: (text: string, bold: boolean) => number): number {
  const extra = isCut(value) || column.kind === "bytes" ? 70 : column.kind === "category" ? 14 : 0;
  const shown = told(value, column.kind).slice(0, 80);
  const coded = column.kind === "json" || column.kind === "bytes"; // in a font of even width
  return (coded ? shown.length * 7.3 : measure(shown + lacking(shown, digits), false)) + extra;
}
