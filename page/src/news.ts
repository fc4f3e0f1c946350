// News of what is recorded goes to whoever shows it; where there is no live stream, everybody asks again now and then.

import { effect, signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import type { Json } from "./api";
import { categoryOf, idOf } from "./format";
import { Live, type Recorded } from "./live";
import { may } from "./session";

const POLL_MS = 15_000;
const TICK_MS = 1000;
/** Lists that show when devices were heard of have this beside their categories: they are asked again now and then. */
export const HEARD = "heard";
/** Lists of every event have this: they are asked again whatever is recorded. */
export const EVERYTHING = "*";

export type Connection = "off" | "live" | "reconnecting" | "paused" | "asking";

export const connection = signal<{ state: Connection; detail: string }>({ state: "off", detail: "" });
/** Grows whenever something may have been missed: everything is asked again. */
export const round = signal(0);
/** When the devices that are followed were heard of last, since the page was opened. */
const heard = signal<ReadonlyMap<string, string>>(new Map());
/** The time, once a second while somebody looks. */
export const now = signal(Date.now());

type Listener = (events: Recorded[]) => void;
const listeners = new Set<Listener>();
const places = new Map<string, string>();

const live = new Live({ onEvents: tell, onState });

function tell(events: Recorded[]): void {
  for (const event of events) {
    if (event.position.startsWith("events")) places.set(categoryOf(event.stream), event.position);
  }
  const facts = events.filter(({ position }) => position.startsWith("telemetry"));
  if (facts.length) heard.value = new Map([...heard.value, ...facts.map(({ stream, recorded_at }) => [idOf(stream), recorded_at] as const)]);
  for (const listener of [...listeners]) listener(events);
}

/** When a device was heard of last, as far as is known by now. */
export const lastSeen = (id: Json, known: Json): Json => [heard.value.get(String(id)) ?? "", known ?? ""].sort().at(-1);

function onState(state: Connection, detail = ""): void {
  if (state === "live" && connection.value.state === "reconnecting") again();
  connection.value = { state, detail };
}

export function again(): void {
  places.clear();
  round.value += 1;
}

export function follow(deviceId: string | null): void {
  live.follow(deviceId);
}

export function beginNews(): void {
  const isLive = may("live:read");
  if (isLive) live.start();
  else onState("asking", "these rights have no live stream: the page asks every 15 seconds");
  // a browser opens few connections to one host: a tab that nobody sees gives its own back
  document.addEventListener("visibilitychange", () => {
    if (!isLive) return;
    if (document.hidden) {
      live.stop();
      onState("paused");
    } else {
      live.start();
      again();
    }
  });
  setInterval(() => {
    if (!document.hidden) now.value = Date.now();
  }, TICK_MS);
  setInterval(() => {
    // that a device was heard of is no event that everybody is told
    if (!document.hidden) recorded(HEARD, null);
  }, POLL_MS);
  setInterval(() => {
    if (!isLive && !document.hidden) again();
  }, POLL_MS);
}

export function endNews(): void {
  live.stop();
  connection.value = { state: "off", detail: "" };
}

/** Calls with each batch of events while the component is there. */
export function useNews(listener: Listener): void {
  const latest = useRef(listener);
  latest.current = listener;
  useEffect(() => {
    const mine: Listener = (events) => latest.current(events);
    listeners.add(mine);
    return () => void listeners.delete(mine);
  }, []);
}

/** The position that an answer about these categories has to include; "" where none is known. */
export const placeOf = (categories: readonly string[]): string | null =>
  (categories.includes(EVERYTHING) ? [...places.values()] : categories.flatMap((category) => places.get(category) ?? [])).sort((one, other) => numberOf(other) - numberOf(one))[0] ?? null;

const numberOf = (position: string): number => Number(position.split("/")[2]?.split("@")[0]);

/** Says that something of a category was recorded, for those who hear nothing themselves. */
export function recorded(category: string, position: string | null): void {
  if (position) places.set(category, position);
  for (const waiting of [...waitingFor]) waiting(category);
}

const isAbout = (categories: readonly string[], category: string): boolean => categories.includes(category) || categories.includes(EVERYTHING);

const waitingFor = new Set<(category: string) => void>();

export function useChanges(categories: readonly string[], changed: () => void): void {
  const latest = useRef(changed);
  latest.current = changed;
  const wanted = categories.join(" ");
  useNews((events) => {
    const isOurs = events.some(({ position, stream }) => position.startsWith("events") && isAbout(categories, categoryOf(stream)));
    if (isOurs) latest.current();
  });
  useEffect(() => {
    const hear = (category: string): void => {
      if (isAbout(wanted.split(" "), category)) latest.current();
    };
    waitingFor.add(hear);
    return () => void waitingFor.delete(hear);
  }, [wanted]);
  useEffect(() => {
    let isFirst = true;
    return effect(() => {
      round.value;
      if (!isFirst) latest.current();
      isFirst = false;
    });
  }, []);
}
