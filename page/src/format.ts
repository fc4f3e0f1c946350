// Values as people read them. Amounts stay text from end to end: a float would round them.

import type { Json } from "./api";

const GROUPS = /\B(?=(\d{3})+$)/g;
const NARROW_SPACE = "\u202f";

/** "-1234.5000" -> "−1 234.50" */
export function amount(value: Json, places = 2): string {
  const text = String(value ?? "");
  const [, sign = "", whole = text, fraction = ""] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text) ?? [];
  const shown = fraction.replace(/0+$/, "").padEnd(places, "0");
  return `${sign && "−"}${whole.replace(GROUPS, NARROW_SPACE)}${shown && `.${shown}`}`;
}

export const count = (number: number): string => amount(String(number), 0);

export const plural = (number: number, word: string): string => `${count(number)} ${word}${number === 1 ? "" : "s"}`;

export const day = (instant: string): string => instant.slice(0, 10);

/** A day is only said where it is not today. */
export function moment(instant: string): string {
  const today = new Date().toISOString().slice(0, 10);
  const time = instant.slice(11, 19);
  return day(instant) === today ? time : `${day(instant)} ${time}`;
}

export const short = (instant: string): string => (moment(instant).includes(" ") ? day(instant) : moment(instant));

export function ago(instant: string, now: number): string {
  const seconds = Math.round((now - Date.parse(instant)) / 1000);
  if (seconds < 5) return "now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return day(instant);
}

const PREFIXES: [number, string][] = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];

/** 90904.8 -> "90.9 k": a reading, not an amount */
export function reading(value: Json): string {
  if (typeof value !== "number") return "–";
  const [size, prefix] = PREFIXES.find(([limit]) => Math.abs(value) >= limit) ?? [1, ""];
  const scaled = value / size;
  const digits = Math.abs(scaled) >= 100 ? 0 : Math.abs(scaled) >= 10 ? 1 : 2;
  return `${Number(scaled.toFixed(digits))}${prefix && NARROW_SPACE}${prefix}`;
}

export const duration = (ms: Json): string =>
  typeof ms !== "number" ? "–" : ms < 1000 ? `${ms} ms` : `${Number((ms / 1000).toFixed(1))} s`;

/** Text of a field that may be missing. */
export const text = (value: Json): string => (value === null || value === undefined || value === "" ? "–" : String(value));

export const words = (value: Json): string => text(value).replaceAll("_", " ").toLowerCase();

export const json = (value: unknown): string => JSON.stringify(value, null, 2);

export const categoryOf = (stream: string): string => stream.slice(0, stream.indexOf("-"));
export const idOf = (stream: string): string => stream.slice(stream.indexOf("-") + 1);
