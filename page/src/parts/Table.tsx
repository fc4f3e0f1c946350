// A table of rows that may open something: the whole row can be clicked, and the link in its first cell is for the
// keyboard, for screen readers and for a new tab.

import type { ComponentChildren } from "preact";
import { useLocation } from "preact-iso";

export interface Column<R> {
  title: string;
  /** What the API orders by for this column. */
  sort?: string;
  /** "number" stands right, "spare" is left out on a phone. */
  kind?: string;
  cell(row: R): ComponentChildren;
}

interface Props<R> {
  columns: readonly Column<R>[];
  rows: readonly R[];
  keyOf(row: R): string;
  /** Where the row leads. */
  to?: ((row: R) => string) | undefined;
  isCurrent?(row: R): boolean;
  isNew?(row: R): boolean;
  /** A cell before the others, like a box to choose the row with. */
  before?: Column<R> | undefined;
  order?: Order | undefined;
}

/** How rows are ordered: by a field, or with - before it the greatest first; "" is the usual order. */
export interface Order {
  by: string;
  onChoose(by: string): void;
}

export function Table<R>({ columns, rows, keyOf, to, isCurrent, isNew, before, order }: Props<R>) {
  const { route } = useLocation();
  const open = (row: R) => (event: MouseEvent) => {
    const pressed = event.target as HTMLElement;
    if (to && !pressed.closest("a, button, input, label, select, dialog")) route(to(row));
  };
  return (
    <div class="scroll" {...(to ? {} : { tabIndex: 0, role: "group", "aria-label": "Table, to scroll" })}>
      <table>
        <thead>
          <tr>
            {before && <Heading {...before} isHidden />}
            {columns.map(({ title, kind, sort }) => (
              <Heading key={title} title={title} kind={kind} isHidden={kind === "acts"} sort={sort} order={order} />
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr
              key={keyOf(row)}
              onClick={open(row)}
              aria-current={isCurrent?.(row) ? "true" : undefined}
              class={isNew?.(row) ? "new" : undefined}
            >
              {before && <td>{before.cell(row)}</td>}
              {columns.map(({ title, kind, cell }, index) => (
                <td key={title} class={kind}>
                  {index === 0 && to ? (
                    <a class="row" href={to(row)}>
                      {cell(row)}
                    </a>
                  ) : (
                    cell(row)
                  )}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface HeadingProps {
  title: string;
  kind?: string | undefined;
  isHidden: boolean;
  sort?: string | undefined;
  order?: Order | undefined;
}

function Heading({ title, kind, isHidden, sort, order }: HeadingProps) {
  if (!sort || !order) {
    return (
      <th scope="col" class={kind}>
        {isHidden ? <span class="hidden">{title}</span> : title}
      </th>
    );
  }
  const isUp = order.by === sort;
  const isDown = order.by === `-${sort}`;
  return (
    <th scope="col" class={kind} aria-sort={isUp ? "ascending" : isDown ? "descending" : undefined}>
      <button type="button" class="order" onClick={() => order.onChoose(isDown ? sort : `-${sort}`)}>
        {title}
        {isUp ? " ↑" : isDown ? " ↓" : ""}
      </button>
    </th>
  );
}
