// Small pieces of every room.

import type { ComponentChildren } from "preact";

import type { Json } from "../api";
import type { Answer } from "../ask";
import { ago, moment, words } from "../format";
import { now } from "../news";

/** A status is a word; the colour only repeats it. */
export const Status = ({ of }: { of: Json }) => (
  <span class={`status ${String(of ?? "unknown").toLowerCase().replace(/\W/g, "")}`}>{words(of ?? "unknown")}</span>
);

const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** All times are UTC; the viewer's own zone is said where the pointer rests. */
export function Time({ at, as = moment }: { at: Json; as?: (instant: string) => string }) {
  if (typeof at !== "string" || !at) return <>–</>;
  return (
    <time dateTime={at} title={`${at}\n${new Date(at).toLocaleString()} in ${ZONE}`}>
      {as(at)}
    </time>
  );
}

export function Ago({ at }: { at: Json }) {
  if (typeof at !== "string" || !at) return <>never</>;
  return <Time at={at} as={(instant) => ago(instant, now.value)} />;
}

export const Notice = ({ children }: { children: ComponentChildren }) => <p class="notice">{children}</p>;

export function Failure({ of, retry }: { of: Error; retry?: () => void }) {
  return (
    <p class="error" role="alert">
      {of.message}{" "}
      {retry && (
        <button type="button" class="quiet" onClick={retry}>
          Try again
        </button>
      )}
    </p>
  );
}

/** The answer once it is there; before that it says why not. What was known stays while the server is away. */
export function Answered<T>({ answer, children }: { answer: Answer<T>; children: (data: T) => ComponentChildren }) {
  if (answer.data !== null) return <>{children(answer.data)}</>;
  if (answer.error) return <Failure of={answer.error} retry={answer.reload} />;
  return <Notice>Loading…</Notice>;
}

export function Card({ id, title, more, children }: { id: string; title: string; more?: ComponentChildren; children: ComponentChildren }) {
  return (
    <section id={id} aria-labelledby={`${id}-title`}>
      <div class="head">
        <h2 id={`${id}-title`}>{title}</h2>
        {more}
      </div>
      {children}
    </section>
  );
}

/** A room's title, and what can be done in it. */
export const Top = ({ title, children }: { title: ComponentChildren; children?: ComponentChildren }) => (
  <div class="top">
    <h1>{title}</h1>
    <div class="acts">{children}</div>
  </div>
);

export function Facts({ of }: { of: readonly (readonly [string, ComponentChildren])[] }) {
  return (
    <dl class="facts">
      {of.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** One of a few, chosen by a press. */
export function Choice({
  name,
  label,
  of,
  chosen,
  onChoose,
}: {
  name: string;
  label: string;
  of: readonly string[];
  chosen: string;
  onChoose(value: string): void;
}) {
  return (
    <fieldset class="choice">
      <legend class="hidden">{label}</legend>
      {of.map((value) => (
        <label key={value}>
          <input type="radio" name={name} value={value} checked={value === chosen} onChange={() => onChoose(value)} />
          {value}
        </label>
      ))}
    </fieldset>
  );
}
