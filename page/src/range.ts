// The time that a room looks at, the same in every room: the last hour or so, or from one moment to another.

import { useAddress } from "./address";

export const RANGES: Readonly<Record<string, number>> = {
  "5m": 300,
  "1h": 3600,
  "6h": 21_600,
  "24h": 86_400,
  "7d": 604_800,
  "30d": 2_592_000,
  "1y": 31_536_000,
};

export const USUAL = "1h";
export const ALL = "all";

export interface Range {
  /** Its name, or "" where it has a beginning and an end. */
  name: string;
  /** Nobody chose it. */
  isUsual: boolean;
  /** Seconds since 1970; the end of a range that goes on is now. */
  start(): number;
  end(): number;
  /** Goes on with what comes. */
  isOpen: boolean;
}

export const instant = (at: number): string => new Date(at * 1000).toISOString();
export const seconds = (text: string): number => Date.parse(text) / 1000;

export function rangeOf(query: Record<string, string>, usual: string = USUAL): Range {
  const { from, to } = query;
  if (from && to && Number.isFinite(seconds(from)) && seconds(to) > seconds(from)) {
    return { name: "", isUsual: false, start: () => seconds(from), end: () => seconds(to), isOpen: false };
  }
  const said = query["range"] ?? "";
  const name = said in RANGES || said === ALL ? said : usual;
  const span = RANGES[name];
  const end = (): number => Date.now() / 1000;
  return { name, isUsual: name !== said, start: () => (span === undefined ? 0 : end() - span), end, isOpen: true };
}

export function useRange(usual?: string): Range & { choose(name: string): void; zoom(start: number, end: number): void } {
  const { query, set } = useAddress();
  return {
    ...rangeOf(query, usual),
    choose: (name) => set({ range: name, from: null, to: null, cursor: null }),
    zoom: (start, end) => set({ range: null, from: instant(start), to: instant(end), cursor: null }),
  };
}

/** What two addresses must differ in to be two ranges. */
export const keyOf = (range: Range): string => range.name || `${range.start()} ${range.end()}`;
