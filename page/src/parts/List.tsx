// One of the API's lists as a table: words, filters, orders and pages, all of them in the address.

import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";

import { ask, client, table, type Query, type Row, type TablePath } from "../api";
import { useAddress } from "../address";
import { useAnswer } from "../ask";
import { count } from "../format";
import { Answered, Card, Notice } from "./bits";
import { Table, type Column, type Order } from "./Table";

const PAGE = 50;
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
  /** A short list of another room has neither filters nor pages. */
  isShort?: boolean;
  empty: ComponentChildren;
  more?: ComponentChildren;
  before?: Column<Row<P>> | undefined;
  isCurrent?: (row: Row<P>) => boolean;
}

export function List<P extends TablePath>(props: Props<P>) {
  const { id, title, path, columns, categories, to, filters = {}, query, hasWords = false, isShort = false, empty, more, before, isCurrent = () => false } = props;
  const keyOf = props.keyOf ?? ((row) => String(row["id"]));
  const address = useAddress();
  const said = isShort ? {} : Object.fromEntries(["q", ...Object.keys(filters)].map((name) => [name, address.query[name] ?? ""]));
  const cursor = isShort ? undefined : address.query["cursor"];
  const limit = props.limit ?? (Number(address.query["limit"]) || PAGE);
  const sort = isShort ? undefined : address.query["sort"];
  const whole = { ...query, ...said, ...(sort ? { sort } : {}), cursor, limit } as unknown as Query<P>;
  const answer = useAnswer((asked) => table(path, whole, {}, asked), [path, whole], categories);
  const isFiltered = Object.values(said).some(Boolean);
  const choose = (change: Record<string, string | null>): void => address.set({ ...change, cursor: null, page: null });
  const order: Order | undefined = isShort ? undefined : { by: sort ?? "", onChoose: (by) => choose({ sort: by }) };
  return (
    <Card
      id={id}
      title={title}
      more={
        <div class="filters">
          {more}
          {hasWords && !isShort && <Words value={said["q"] ?? ""} onChange={(q) => choose({ q })} />}
          {!isShort && <Filters path={path} filters={filters} said={said} categories={categories} onChoose={choose} />}
        </div>
      }
    >
      <Answered answer={answer}>
        {({ rows, next }) => (
          <>
            {rows.length ? (
              <Table columns={columns} rows={rows} keyOf={keyOf} to={to} before={before} isCurrent={isCurrent} order={order} />
            ) : isFiltered ? (
              <Notice>Nothing matches the filter.</Notice>
            ) : (
              empty
            )}
            {!isShort && <Pager next={next} />}
          </>
        )}
      </Answered>
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

/** Back in the browser is the page before, too. */
export function Pager({ next }: { next: string | null }) {
  const { query, set } = useAddress();
  const page = Number(query["page"] ?? 1);
  const cursors = useRef(new Map<number, string | null>());
  cursors.current.set(page, query["cursor"] ?? null);
  if (!next && page === 1) return null;
  // whoever came by a pasted address goes back to the first page
  const back = (): void => {
    const cursor = cursors.current.get(page - 1) ?? null;
    set({ cursor, page: cursor && String(page - 1) });
  };
  return (
    <p class="pager">
      <button type="button" disabled={page === 1} onClick={back}>
        Previous
      </button>
      <span>Page {page}</span>
      <button type="button" disabled={!next} onClick={() => set({ cursor: next, page: String(page + 1) })}>
        Next
      </button>
    </p>
  );
}
