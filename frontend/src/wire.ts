/** What goes over the wire: the messages of the view-model, word for word. Exact values are texts and stay texts. */

export interface Cut {
  cut: string;
  size: number;
}

export type Wire = null | boolean | number | string | Cut;

export type Kind =
  | "bool"
  | "int"
  | "float"
  | "decimal"
  | "text"
  | "category"
  | "bytes"
  | "date"
  | "time"
  | "timestamp"
  | "duration"
  | "json";

export interface Column {
  name: string;
  label: string;
  type: string;
  kind: Kind;
  nullable: boolean;
  /** The place in the key, from 1; 0 where it is no key column. */
  key: number;
  descending: boolean;
  computed: boolean;
  editable: boolean;
  categories: string[] | null;
  zone: string | null;
}

export interface Field {
  name: string;
  descending: boolean;
  kind: Kind;
}

export interface Order {
  /** The name of an index; "" is the key. */
  name: string;
  unique: boolean;
  fields: Field[];
}

export interface Schema {
  columns: Column[];
  orders: Order[];
  rows: number;
  seq: number;
}

export interface Query {
  store: string;
  order: string;
  reverse: boolean;
  prefix: Wire[];
  startswith: string | null;
  where: string;
  columns: string[] | null;
}

export type State = "" | "edited" | "new" | "deleted" | "stale";

export interface Row {
  /** Opaque; names the record whatever its place. */
  key: string;
  seq: number;
  cells: Wire[];
  state: State;
  edited: string[];
}

/** What is searched for under a condition: which share of the records was looked at so far, null where all is found. */
export interface Searched {
  searched: number | null;
}

/** Where a key stands, or what is nearest after it. */
export interface Found extends Searched {
  position: number;
  found: boolean;
}

export interface Page extends Searched {
  rows: Row[];
  start: number;
  total: number | null;
  exact: boolean;
  seq: number;
  columns: string[];
  /** How many changes wait. */
  pending: number;
}

export interface Store {
  name: string;
  rows: number;
  bytes: number | null;
  index: string;
  unique: boolean;
  indexes: { name: string; index: string; unique: boolean }[];
  last_commit: number | null;
  changed: string | null;
}

export interface Opened {
  title: string;
  store: string | null;
  edit: boolean;
  seq: number;
  stores: Store[];
  fixed: boolean;
  /** The order of a selection. */
  order?: string;
  version: number;
}

export interface Change {
  id: number | string;
  store: string;
  key: string;
  token: string;
  kind: "insert" | "update" | "delete";
  cells: { column: string; old: Wire; new: Wire }[];
  /** The kinds of the columns that it is about. */
  kinds: Record<string, Kind>;
  state: string;
  stale?: { theirs: Record<string, Wire> | null; seq: number } | null;
}

export interface Reported {
  row: number;
  ok: boolean;
  message: string;
}

export function isCut(value: Wire | undefined): value is Cut {
  return typeof value === "object" && value !== null;
}
