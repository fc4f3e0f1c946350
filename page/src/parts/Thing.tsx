// One thing of a list: all that is known of it, what may be done to it, and its history.

import type { ComponentChildren } from "preact";

import { table, type Json, type Row, type TablePath } from "../api";
import { useAddress } from "../address";
import { useAnswer } from "../ask";
import { json, text } from "../format";
import { mayAudit } from "../session";
import { Answered, Card, Facts, Notice, Status, Time, Top } from "./bits";
import { historyOf } from "./History";

const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d/;
const STATUSES = ["status", "severity", "tier", "distribution"];
const LONG = 120;

interface Props<P extends TablePath> {
  path: P;
  id: string;
  /** The kind of its stream, and of the news about it. */
  category: string;
  /** Its stream, where that is not called as the thing is. */
  stream?: (row: Row<P>) => string;
  title(row: Row<P>): string;
  /** Fields that are shown elsewhere. */
  without?: readonly string[];
  acts?: ((row: Row<P>) => ComponentChildren) | undefined;
  children?: (row: Row<P>) => ComponentChildren;
}

export function Thing<P extends TablePath>({ path, id, category, stream, title, without = [], acts, children }: Props<P>) {
  const { set } = useAddress();
  const answer = useAnswer(async (asked) => (await table(path, {} as never, { id }, asked)).rows[0] ?? null, [path, id], [category]);
  return (
    <Answered answer={answer}>
      {(row) =>
        row ? (
          <>
            <Top title={title(row)}>
              {acts?.(row)}
              {mayAudit() && (
                <button type="button" class="quiet" onClick={() => set(historyOf(stream?.(row) ?? `${category}-${id}`))}>
                  History
                </button>
              )}
            </Top>
            <Known of={row} without={without} />
            {children?.(row)}
          </>
        ) : (
          <Notice>There is no such {category}.</Notice>
        )
      }
    </Answered>
  );
}

/** Every field that has a value: short ones beside each other, long ones below. */
function Known({ of, without }: { of: Record<string, Json>; without: readonly string[] }) {
  const fields = Object.entries(of).filter(([name, value]) => !without.includes(name) && !isEmpty(value));
  const isLong = ([, value]: [string, Json]): boolean => typeof value === "object" || String(value).length > LONG || String(value).includes("\n");
  return (
    <>
      <Card id="thing" title="What is known">
        <Facts of={fields.filter((field) => !isLong(field)).map(([name, value]) => [named(name), <Value name={name} of={value} />] as const)} />
      </Card>
      {fields.filter(isLong).map(([name, value]) => (
        <Card key={name} id={`field-${name}`} title={named(name)}>
          <pre tabIndex={0} aria-label={named(name)}>
            {typeof value === "object" ? json(value) : pretty(String(value))}
          </pre>
        </Card>
      ))}
    </>
  );
}

const isEmpty = (value: Json): boolean => value === null || value === undefined || value === "" || (Array.isArray(value) && !value.length);

const named = (name: string): string => name.replaceAll("_", " ").replace(/^./, (letter) => letter.toUpperCase());

function Value({ name, of }: { name: string; of: Json }) {
  if (STATUSES.includes(name)) return <Status of={of} />;
  if (typeof of === "string" && INSTANT.test(of)) return <Time at={of} />;
  return <>{text(of)}</>;
}

/** JSON that is kept as text is shown as it is read. */
function pretty(value: string): string {
  try {
    return json(JSON.parse(value));
  } catch {
    return value;
  }
}
