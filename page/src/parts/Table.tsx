// A table of rows that may open something: the whole row can be clicked, and the link in its first cell is for the
// keyboard, for screen readers and for a new tab.

import type { ComponentChildren } from "preact";
import { useLocation } from "preact-iso";

export interface Column<R> {
  title: string;
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
}

export function Table<R>({ columns, rows, keyOf, to, isCurrent, isNew, before }: Props<R>) {
  const { route } = useLocation();
  const open = (row: R) => (event: MouseEvent) => {
    const pressed = event.target as HTMLElement;
    if (to && !pressed.closest("a, button, input, label, select")) route(to(row));
  };
  return (
    <div class="scroll" {...(to ? {} : { tabIndex: 0, role: "group", "aria-label": "Table, to scroll" })}>
      <table>
        <thead>
          <tr>
            {before && <Heading {...before} isHidden />}
            {columns.map(({ title, kind }) => (
              <Heading key={title} title={title} kind={kind} isHidden={kind === "acts"} />
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

const Heading = ({ title, kind, isHidden }: { title: string; kind?: string | undefined; isHidden: boolean }) => (
  <th scope="col" class={kind}>
    {isHidden ? <span class="hidden">{title}</span> : title}
  </th>
);
