// Numbers as bars in a table: the bar is for the eye, the number is the API's own text.

import { useState } from "preact/hooks";

import { count } from "../format";

export interface Bar {
  name: string;
  /** What the bar compares: amounts of one currency only. */
  of: string;
  length: number;
  value: string;
  shown: string;
  hint?: string;
}

interface Props {
  by: string;
  what: string;
  rows: readonly Bar[];
  shown: number;
  /** Shows the last ones first of all, not the first ones. */
  newestLast?: boolean;
}

export function Bars({ by, what, rows, shown, newestLast = false }: Props) {
  const [isWhole, setWhole] = useState(false);
  const some = isWhole || rows.length <= shown ? rows : newestLast ? rows.slice(-shown) : rows.slice(0, shown);
  const greatest = new Map<string, number>();
  for (const { of, length } of some) greatest.set(of, Math.max(greatest.get(of) ?? Number.MIN_VALUE, Math.abs(length)));
  return (
    <>
      <table class="bars">
        <thead>
          <tr>
            <th scope="col">{by}</th>
            <th scope="col" class="wide">
              <span class="hidden">bar</span>
            </th>
            <th scope="col" class="number">
              {what}
            </th>
          </tr>
        </thead>
        <tbody>
          {some.map(({ name, of, length, value, shown: said, hint }) => (
            <tr key={`${name} ${of}`} title={hint}>
              <th scope="row">{name || "unknown"}</th>
              <td class="wide">
                <i
                  class={length < 0 ? "stripe negative" : "stripe"}
                  style={{ width: `${(100 * Math.abs(length)) / (greatest.get(of) ?? 1)}%` }}
                />
              </td>
              <td class="number">
                <data value={value}>{said}</data> {of}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > shown && (
        <p class="pager">
          <button type="button" onClick={() => setWhole(!isWhole)}>
            {isWhole ? "Show less" : `Show all ${count(rows.length)}`}
          </button>
        </p>
      )}
    </>
  );
}
