// One of the API's lists as a table that has no end: further rows come as one scrolls.

import type { ComponentChildren } from "preact";

import { ask, client, table, type Query, type Row, type TablePath } from "../api";
import { useAddress } from "../address";
import { useAnswer } from "../ask";
import { count } from "../format";
import { Answered, Card, Notice } from "./bits";
import { EndlessTable } from "./EndlessTable";
import { Table, type Column, type Order } from "./Table";

const PAGE = 100;
const WAIT_FOR_WORDS_MS = 300;

interface Props<P extends TablePath> {
  id: string;
  title: string;
  path: P;
  columns: readonly Column<Row<P>>[];
  /** What is recorded of these is in the list. */
  categories: readonly string[];
  to?: ((row: Row<P>) => string) | undefined;
  keyOf?: (row: Row<P>) => string;
  /** Fields that one can choose values of, with what they are called. */
  filters?: Readonly<Record<string, string>>;
  /** Asked for always. */
  query?: Query<P>;
  /** Whether there are words to look for. */
  hasWords?: boolean;
  limit?: number;
  /** A short list of another room has no filters, and ends. */
  isShort?: boolean;
  empty: ComponentChildren;
  more?: ComponentChildren;
  before?: Column<Row<P>> | undefined;
  isCurrent?: ((row: Row<P>) => boolean) | undefined;
}

export function List<P extends TablePath>(props: Props<P>) {
  return props.isShort ? <Short {...props} /> : <Long {...props} />;
}

const usualKey = (row: Record<string, unknown>): string => String(row["id"]);

/** A short list of another room: its first rows, asked for again when something of it is recorded. */
function Short<P extends TablePath>({ id, title, path, columns, categories, to, query, keyOf = usualKey, limit = PAGE, empty, more, before, isCurrent }: Props<P>) {
  const whole = { ...query, limit } as unknown as Query<P>;
  const answer = useAnswer((asked) => table(path, whole, {}, asked), [path, whole], categories);
  return (
    <Card id={id} title={title} more={<div class="filters">{more}</div>}>
      <Answered answer={answer}>
        {({ rows }) => (rows.length ? <Table columns={columns} rows={rows} keyOf={keyOf} to={to} before={before} isCurrent={isCurrent} /> : empty)}
      </Answered>
    </Card>
  );
}

/** The whole list: words, filters and the order are in the address, and so is the page that one has come to. */
function Long<P extends TablePath>(props: Props<P>) {
  const { id, title, path, columns, categories, to, filters = {}, query, keyOf = usualKey, hasWords = false, empty, more, before, isCurrent } = props;
  const address = useAddress();
  const said = Object.fromEntries(["q", ...Object.keys(filters)].map((name) => [name, address.query[name] ?? ""]));
  const limit = props.limit ?? (Number(address.query["limit"]) || PAGE);
  const sort = address.query["sort"];
  const whole = { ...query, ...said, ...(sort ? { sort } : {}), limit } as unknown as Query<P>;
  const isFiltered = Object.values(said).some(Boolean);
  const choose = (change: Record<string, string | null>): void => address.set({ ...change, cursor: null });
  const order: Order = { by: sort ?? "", onChoose: (by) => choose({ sort: by }) };
  return (
    <Card
      id={id}
      title={title}
      more={
        <div class="filters">
          {more}
          {hasWords && <Words value={said["q"] ?? ""} onChange={(q) => choose({ q })} />}
          <Filters path={path} filters={filters} said={said} categories={categories} onChoose={choose} />
        </div>
      }
    >
      <EndlessTable
        id={id}
        question={{ path, name: JSON.stringify(whole), query: () => whole }}
        columns={columns}
        categories={categories}
        keyOf={keyOf}
        to={to}
        before={before}
        isCurrent={isCurrent}
        order={order}
        empty={isFiltered ? <Notice>Nothing matches the filter.</Notice> : empty}
      />
    </Card>
  );
}

function Words({ value, onChange }: { value: string; onChange(words: string): void }) {
  let waiting: ReturnType<typeof setTimeout> | undefined;
  const typed = (event: Event): void => {
    const words = (event.target as HTMLInputElement).value;
    clearTimeout(waiting);
    waiting = setTimeout(() => onChange(words.trim()), WAIT_FOR_WORDS_MS);
  };
  return <input type="search" class="words" aria-label="Words to look for" placeholder="Search" defaultValue={value} onInput={typed} />;
}

interface Facet {
  field?: string | null;
  value?: string | null;
  count?: number | null;
}

interface FiltersProps {
  path: string;
  filters: Readonly<Record<string, string>>;
  said: Record<string, string>;
  categories: readonly string[];
  onChoose(change: Record<string, string>): void;
}

function Filters({ path, filters, said, categories, onChoose }: FiltersProps) {
  const load = async (): Promise<Facet[]> => {
    if (!Object.keys(filters).length) return [];
    return (await ask(client.GET(`${path}/filters` as "/v1/devices/filters"))).rows as Facet[];
  };
  const { data } = useAnswer(load, [path, filters], categories);
  return (
    <>
      {Object.entries(filters).map(([field, label]) => (
        <label key={field}>
          {label}{" "}
          <select name={field} value={said[field]} onChange={(event) => onChoose({ [field]: event.currentTarget.value })}>
            <option value="">all</option>
            {options(data ?? [], field, said[field] ?? "")}
          </select>
        </label>
      ))}
    </>
  );
}

function options(facets: readonly Facet[], field: string, chosen: string) {
  const known = facets.filter((facet) => facet.field === field && facet.value);
  // what an address asks for is chosen even where no row has it
  const shown = !chosen || known.some((facet) => facet.value === chosen) ? known : [...known, { value: chosen, count: 0 }];
  return shown.map(({ value, count: number }) => (
    <option key={value} value={value ?? ""}>
      {`${value} (${count(number ?? 0)})`}
    </option>
  ));
}
