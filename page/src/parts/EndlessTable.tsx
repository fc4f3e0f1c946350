// A table that has no end: further rows come as one scrolls, and only those near to what is seen are drawn.

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

import type { Row, TablePath } from "../api";
import { useAddress } from "../address";
import { useEndless, type Question } from "../endless";
import { seen, useWindow } from "../window";
import { Failure, Notice } from "./bits";
import { Table, type Column, type Order } from "./Table";

const AHEAD = 60;
const REST_MS = 200;

interface Props<P extends TablePath> {
  /** Of the card that it is in: there one is brought from further down. */
  id: string;
  question: Question<P>;
  columns: readonly Column<Row<P>>[];
  /** What is recorded of these is in the list. */
  categories: readonly string[];
  keyOf(row: Row<P>): string;
  to?: ((row: Row<P>) => string) | undefined;
  before?: Column<Row<P>> | undefined;
  isCurrent?: ((row: Row<P>) => boolean) | undefined;
  order?: Order;
  /** Whether its pages are the same ones tomorrow, so that the address says which one has come to. */
  isLasting?: boolean;
  empty: ComponentChildren;
}

export function EndlessTable<P extends TablePath>(props: Props<P>) {
  const { id, question, columns, categories, keyOf, to, before, isCurrent, order, isLasting = true, empty } = props;
  const address = useAddress();
  const body = useRef<HTMLTableSectionElement | null>(null);
  const count = useRef(0);
  const cursor = address.query["cursor"] ?? null;
  const list = useEndless(question, isLasting ? cursor : null, categories, keyOf, () => seen(body.current, count.current));
  count.current = list.rows.length;
  const [first, last] = useWindow(body, list.rows.length);
  useEffect(() => {
    if (list.hasMore && last > list.rows.length - AHEAD) list.more();
  });
  // a step of the browser is a page that one opened, not one that one has scrolled to
  const [top] = seen(body.current, list.rows.length);
  const at = !isLasting ? null : list.rows.length ? list.cursorAt(top) : cursor;
  const latest = useRef(address);
  latest.current = address;
  useEffect(() => {
    if (at === cursor) return;
    // once one has stopped: each address makes the whole page anew
    const timer = setTimeout(() => latest.current.set({ cursor: at }, { replace: true }), REST_MS);
    return () => clearTimeout(timer);
  }, [at, first]);
  const fromTheBeginning = (): void => {
    list.fromTheBeginning();
    document.getElementById(id)?.scrollIntoView();
  };
  return (
    <>
      {list.hasBefore && (
        <p class="pager before">
          <button type="button" onClick={fromTheBeginning}>
            From the beginning
          </button>
        </p>
      )}
      {list.rows.length ? (
        <Table
          columns={columns}
          rows={list.rows}
          keyOf={keyOf}
          to={to}
          before={before}
          isCurrent={isCurrent}
          order={order}
          part={{ body, first, last, isGone: (key) => list.gone.has(key), isOpen: list.hasMore }}
        />
      ) : list.isLoading ? (
        <Notice>Loading…</Notice>
      ) : (
        !list.error && !list.hasMore && empty
      )}
      {list.error && <Failure of={list.error} retry={list.again} />}
      {list.hasMore && !list.error && <Notice>More rows are on their way…</Notice>}
    </>
  );
}
