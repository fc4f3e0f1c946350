// The pages of a list, asked for one after another as they are needed; what was read stays where it is.

import { useEffect, useMemo, useReducer, useRef } from "preact/hooks";

import { ApiError, table, type Query, type Row, type TablePath } from "./api";
import { placeOf, useChanges } from "./news";
import { throttled } from "./throttled";

const PACE_MS = 1000;
const AGAIN_MS = 2000;

interface Page<R> {
  cursor: string | null;
  next: string | null;
  rows: readonly R[];
}

export interface Endless<R> {
  rows: readonly R[];
  /** Rows that are not in the list any more: they stay where they are until one goes to the beginning. */
  gone: ReadonlySet<string>;
  isLoading: boolean;
  error: Error | null;
  hasMore: boolean;
  /** Whether there are rows before these: of an address that begins further down, or newer ones. */
  hasBefore: boolean;
  more(): void;
  again(): void;
  fromTheBeginning(): void;
  /** What the list begins with where its row of this number stands first. */
  cursorAt(row: number): string | null;
}

interface State<R> {
  key: string;
  query: object;
  pages: Page<R>[];
  gone: Set<string>;
  hasNews: boolean;
  error: Error | null;
  asking: AbortController | null;
  /** Whether something was recorded while a question was on its way. */
  isWantedAgain: boolean;
}

/** What is asked for. */
export interface Question<P extends TablePath> {
  path: P;
  /** Questions of different names are of different lists. */
  name: string;
  /** Leaves out rows that the API cannot tell apart from those that are meant. */
  isMeant?(row: Row<P>): boolean;
  /** Asked for at each beginning: what it gives then, like the last hour, is what all its pages are of. */
  query(): Query<P>;
}

/** `visible` says which rows are seen now: [0, …] means that one is at the beginning. */
export function useEndless<P extends TablePath>(
  question: Question<P>,
  from: string | null,
  categories: readonly string[],
  keyOf: (row: Row<P>) => string,
  visible: () => readonly [number, number],
): Endless<Row<P>> {
  const { path } = question;
  const key = JSON.stringify([path, question.name]);
  const [, show] = useReducer((turn: number) => turn + 1, 0);
  const state = useRef<State<Row<P>>>(empty(key));
  if (state.current.key !== key) {
    state.current.asking?.abort();
    state.current = empty(key);
  }

  const page = async (cursor: string | null, signal: AbortSignal): Promise<Page<Row<P>>> => {
    const { rows, next } = await table(path, { ...state.current.query, cursor } as never, {}, { position: placeOf(categories), signal });
    return { cursor, next, rows: question.isMeant ? rows.filter(question.isMeant) : rows };
  };

  /** Asks once at a time; a newer list takes the place of the question. */
  const ask = async (work: (signal: AbortSignal) => Promise<void>): Promise<void> => {
    const mine = state.current;
    if (mine.asking) return;
    const asking = new AbortController();
    mine.asking = asking;
    mine.error = null;
    show(0);
    try {
      await work(asking.signal);
    } catch (failure) {
      if (!asking.signal.aborted) mine.error = failure as Error;
      if (failure instanceof ApiError && failure.status === 503) setTimeout(() => mine === state.current && soon.current(), AGAIN_MS);
    } finally {
      mine.asking = null;
      if (mine === state.current) show(0);
      if (mine.isWantedAgain && mine === state.current) {
        mine.isWantedAgain = false;
        soon.current();
      }
    }
  };

  const begin = (cursor: string | null): Promise<void> =>
    ask(async (signal) => {
      const mine = state.current;
      mine.query = question.query();
      let first: Page<Row<P>>;
      try {
        first = await page(cursor, signal);
      } catch (error) {
        // an address may be of another order, or of a list that is no more
        if (!(cursor && error instanceof ApiError && error.status === 400)) throw error;
        first = await page(null, signal);
      }
      mine.pages = [first];
      mine.gone = new Set();
      mine.hasNews = false;
    });

  const more = (): void => {
    const next = state.current.pages.at(-1)?.next;
    if (!next || state.current.error) return;
    void ask(async (signal) => {
      const mine = state.current;
      mine.pages = [...mine.pages, await page(next, signal)];
    });
  };

  const again = (): void => {
    const { pages } = state.current;
    state.current.error = null;
    if (pages.length) more();
    else void begin(from);
  };

  const refresh = async (): Promise<void> => {
    const [first, last] = visible();
    const { pages, asking } = state.current;
    if (asking) {
      state.current.isWantedAgain = true;
      return undefined;
    }
    if (!pages.length) return begin(from);
    if (first === 0 && !pages[0]?.cursor) return begin(null);
    // what is seen is brought up to date where it stands; the rest when one comes to it
    return ask(async (signal) => {
      const mine = state.current;
      let at = 0;
      for (const [place, old] of mine.pages.entries()) {
        const isSeen = at < last && at + old.rows.length > first;
        at += old.rows.length;
        if (isSeen || place === 0) settle(mine, place, await page(old.cursor, signal), keyOf);
      }
    });
  };

  const latest = useRef(refresh);
  latest.current = refresh;
  const soon = useRef(throttled(() => latest.current(), PACE_MS));
  useChanges(categories, () => soon.current());
  useEffect(() => void begin(from), [key]);
  useEffect(() => () => state.current.asking?.abort(), []);

  const { pages, gone, hasNews, error, asking } = state.current;
  // made once for each page that comes: a long list is shown many times
  const rows = useMemo(() => pages.flatMap(({ rows: some }) => some), [pages]);
  return {
    rows,
    gone,
    isLoading: !pages.length && !error,
    error,
    hasMore: Boolean(pages.at(-1)?.next),
    hasBefore: hasNews || Boolean(pages[0]?.cursor),
    more: () => (asking ? undefined : more()),
    again,
    fromTheBeginning: () => void begin(null),
    cursorAt: (row) => {
      let at = 0;
      for (const { cursor, rows: some } of pages) {
        if (row < at + some.length) return cursor;
        at += some.length;
      }
      return null;
    },
  };
}

const empty = <R>(key: string): State<R> => ({ key, query: {}, pages: [], gone: new Set(), hasNews: false, error: null, asking: null, isWantedAgain: false });

/** Puts what is known now of a page's rows in the place of what was known, and moves none. */
function settle<R>(state: State<R>, place: number, newest: Page<R>, keyOf: (row: R) => string): void {
  const old = state.pages[place];
  if (!old) return;
  const known = new Map(newest.rows.map((row) => [keyOf(row), row] as const));
  const isSame = newest.rows.every((row) => old.rows.some((before) => keyOf(before) === keyOf(row)));
  if (!isSame) state.hasNews = true;
  // the last ones may only have been pushed onto the next page by new ones
  const lastKnown = old.rows.findLastIndex((row) => known.has(keyOf(row)));
  const rows = old.rows.map((row, number) => {
    const now = known.get(keyOf(row));
    if (!now && (number < lastKnown || !newest.next)) state.gone.add(keyOf(row));
    return now ?? row;
  });
  state.pages = state.pages.map((page, number) => (number === place ? { ...old, rows } : page));
}
