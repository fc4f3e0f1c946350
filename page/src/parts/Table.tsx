// A table of rows that may open something: the whole row can be clicked, and the link in its first cell is for the
// keyboard, for screen readers and for a new tab.

import { Component, type ComponentChildren, type RefObject } from "preact";
import { useLocation } from "preact-iso";

import { ROW_PX } from "../window";

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
  isCurrent?: ((row: R) => boolean) | undefined;
  isNew?(row: R): boolean;
  /** A cell before the others, like a box to choose the row with. */
  before?: Column<R> | undefined;
  order?: Order | undefined;
  /** Of a long table: which rows are there, the others being room as high as they. */
  part?: Part | undefined;
}

export interface Part {
  body: RefObject<HTMLTableSectionElement | null>;
  first: number;
  last: number;
  isGone(key: string): boolean;
  /** Whether more rows may follow. */
  isOpen: boolean;
}

/** How rows are ordered: by a field, or with - before it the greatest first; "" is the usual order. */
export interface Order {
  by: string;
  onChoose(by: string): void;
}

export function Table<R>({ columns, rows, keyOf, to, isCurrent, isNew, before, order, part }: Props<R>) {
  const first = part?.first ?? 0;
  const shown = part ? rows.slice(first, part.last) : rows;
  const { route } = useLocation();
  return (
    <div class="scroll" {...(to ? {} : { tabIndex: 0, role: "group", "aria-label": "Table, to scroll" })}>
      <table class={part ? "long" : undefined} aria-rowcount={part && (part.isOpen ? -1 : rows.length + 1)}>
        <thead>
          <tr>
            {before && <Heading {...before} isHidden />}
            {columns.map(({ title, kind, sort }) => (
              <Heading key={title} title={title} kind={kind} isHidden={kind === "acts"} sort={sort} order={order} />
            ))}
          </tr>
        </thead>
        <tbody ref={part?.body} onKeyDown={part && walk}>
          {part && <Room rows={first} />}
          {shown.map((row, number) => (
            <OneRow
              key={keyOf(row)}
              row={row}
              columns={columns as readonly Column<unknown>[]}
              before={before as Column<unknown> | undefined}
              to={to as ((row: unknown) => string) | undefined}
              route={route}
              place={part && first + number + 2}
              isCurrent={isCurrent?.(row) ?? false}
              kind={isNew?.(row) ? "new" : part?.isGone(keyOf(row)) ? "gone" : ""}
            />
          ))}
          {part && <Room rows={rows.length - part.last} />}
        </tbody>
      </table>
    </div>
  );
}

interface RowProps {
  row: unknown;
  columns: readonly Column<unknown>[];
  before: Column<unknown> | undefined;
  to: ((row: unknown) => string) | undefined;
  route(address: string): void;
  place: number | undefined;
  isCurrent: boolean;
  kind: string;
}

/** While one scrolls, the rows that stay are not made anew. */
class OneRow extends Component<RowProps> {
  override shouldComponentUpdate(next: Readonly<RowProps>, state: object): boolean {
    const { row, columns, before, to, place, isCurrent, kind } = this.props;
    return (
      // a signal that a cell shows has changed
      state !== this.state ||
      next.row !== row ||
      next.columns !== columns ||
      next.before !== before ||
      // often another function that says the same
      next.to?.(next.row) !== to?.(row) ||
      next.place !== place ||
      next.isCurrent !== isCurrent ||
      next.kind !== kind
    );
  }

  #open = (event: MouseEvent): void => {
    const { row, to, route } = this.props;
    const pressed = event.target as HTMLElement;
    if (to && !pressed.closest("a, button, input, label, select, dialog")) route(to(row));
  };

  render({ row, columns, before, to, place, isCurrent, kind }: RowProps) {
    return (
      <tr aria-rowindex={place} onClick={this.#open} aria-current={isCurrent ? "true" : undefined} class={to ? `opens ${kind}` : kind}>
        {before && <td>{before.cell(row)}</td>}
        {columns.map(({ title, kind: how, cell }, index) => (
          <td key={title} class={how}>
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
    );
  }
}

const Room = ({ rows }: { rows: number }) => (rows > 0 ? <tr class="room" aria-hidden="true" style={{ height: `${rows * ROW_PX}px` }} /> : null);

/** The arrow keys go from row to row. */
function walk(event: KeyboardEvent): void {
  const step = event.key === "ArrowDown" ? "nextElementSibling" : event.key === "ArrowUp" ? "previousElementSibling" : null;
  const at = (event.target as HTMLElement).closest(".row")?.closest("tr");
  const to = step && at?.[step]?.querySelector<HTMLElement>(".row");
  if (!to) return;
  event.preventDefault();
  to.focus();
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
