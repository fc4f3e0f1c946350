// A device's metrics as charts: which of them belong together, and their readings in a time.

import uPlot from "uplot";

import { table } from "./api";
import { day } from "./format";
import type { Look, Series } from "./parts/Chart";
import { instant, seconds, type Range } from "./range";

const FINEST_S = 2;
const POINTS = 700;
const PAST_POINTS = 400;
const SHORTEST_S = 120;
// no line is drawn over a time in which nothing was reported
const LONGEST_PAUSE_S = 90;

const KNOWN: readonly Omit<Series, "data">[] = [
  { title: "CPU", metrics: ["cpu_percent"], unit: "%" },
  { title: "Memory", metrics: ["memory_percent"], unit: "%" },
  { title: "Disk", metrics: ["disk_percent"], unit: "%" },
  { title: "Network", metrics: ["network_received", "network_sent"], marks: ["↓", "↑"], labels: ["received", "sent"], unit: "B/s" },
  { title: "Load, 1 min", metrics: ["load_1m"], unit: "" },
];

function chartsFor(metrics: readonly string[]): Omit<Series, "data">[] {
  const known = KNOWN.filter((chart) => chart.metrics.some((metric) => metrics.includes(metric)));
  const grouped = known.flatMap((chart) => chart.metrics);
  const others = metrics
    .filter((metric) => !grouped.includes(metric))
    .map((metric) => ({ title: metric.replaceAll("_", " "), metrics: [metric], unit: "" }));
  return [...known, ...others];
}

export interface Loaded {
  /** Every metric there is. */
  metrics: readonly string[];
  charts: Series[];
  /** How many charts more there would be. */
  more: number;
  look: Look;
  /** Where nothing is in the time that was asked about: from when to when there is something. */
  past: readonly [string, string] | null;
}

type Columns = (number | null)[][];

interface Window {
  start: string;
  end?: string;
  step: string;
}

/** Asks for all metrics of a device; where nobody chose a time, and it is empty, for those of the past. */
export async function loadMetrics(id: string, range: Range, most: number): Promise<Loaded> {
  const metrics = (await table("/v1/devices/{id}/metrics", {}, { id })).rows.map((row) => String((row as { metric?: string }).metric));
  const wanted = chartsFor(metrics);
  const shown = wanted.slice(0, most);
  const more = wanted.length - shown.length;
  const look: Look = { start: range.start(), end: range.end(), isOpen: range.isOpen };
  const { charts, data } = await all(id, shown, windowOf(look));
  if (!data) return { metrics, charts, more, look, past: null };
  const [first, last] = [seconds(data.first), seconds(data.last)];
  const past = [day(data.first), day(data.last)] as const;
  if (!range.isUsual) return { metrics, charts, more, look, past };
  const whole: Look = { start: first, end: Math.max(last, first + SHORTEST_S), isOpen: false };
  return { metrics, charts: (await all(id, shown, pastOf(first, last))).charts, more, look: whole, past };
}

function windowOf(look: Look): Window {
  const step = stepOf(look.start, look.end, POINTS);
  return look.isOpen ? { start: instant(look.start), step } : { start: instant(look.start), end: instant(look.end), step };
}

const pastOf = (first: number, last: number): Window => ({
  start: instant(first),
  // the last reading itself is before the end
  end: instant(last + 1),
  step: stepOf(first, last, PAST_POINTS),
});

const stepOf = (start: number, end: number, points: number): string => `${Math.max(FINEST_S, Math.ceil((end - start) / points))}s`;

interface Span {
  first: string;
  last: string;
}

/** Asks for the charts; where none of them has a point, the answer says from when to when there is one. */
async function all(id: string, wanted: readonly Omit<Series, "data">[], window: Window): Promise<{ charts: Series[]; data: Span | null }> {
  const asked = await Promise.all(wanted.map((chart) => columnsOf(id, chart.metrics, window)));
  const charts = wanted.map((chart, index) => ({ ...chart, data: asked[index]?.columns ?? [] }));
  const isEmpty = !charts.some(({ data }) => data[0]?.length);
  const spans = isEmpty ? asked.flatMap(({ span }) => span ?? []) : [];
  if (!spans.length) return { charts, data: null };
  const first = spans.map((span) => span.first).sort()[0] as string;
  return { charts, data: { first, last: spans.map((span) => span.last).sort().at(-1) as string } };
}

async function columnsOf(id: string, metrics: readonly string[], window: Window): Promise<{ columns: Columns; span: Span | null }> {
  const answers = await Promise.all(metrics.map((metric) => table("/v1/devices/{id}/metrics", { ...window, metric }, { id })));
  const tables = answers.map(({ rows }): uPlot.AlignedData => [
    rows.map((row) => seconds(String(row.at))),
    rows.map((row) => row.value as number),
  ]);
  const pause = Math.max(LONGEST_PAUSE_S, 3 * Number.parseInt(window.step, 10));
  return { columns: withPauses(uPlot.join(tables) as Columns, pause), span: (answers[0]?.["data"] as Span | undefined) ?? null };
}

/** uPlot draws a line over undefined, but not over null. */
function withPauses(columns: Columns, pause: number): Columns {
  const times = columns[0] ?? [];
  const spaced: Columns = columns.map(() => []);
  const push = (row: (number | null)[]): void => row.forEach((value, index) => spaced[index]?.push(value));
  times.forEach((at, index) => {
    const before = times[index - 1];
    if (at !== null && typeof before === "number" && at - before > pause) push([at - 1, ...columns.slice(1).map(() => null)]);
    push(columns.map((column) => column[index] as number | null));
  });
  return spaced;
}

/** Adds a reading that came, unless the chart has a later one already. */
export function addReading(chart: Series, at: number, readings: Record<string, unknown>, unit: unknown): void {
  const times = chart.data[0] ?? [];
  const last = times.at(-1) ?? 0;
  if (at <= last) return;
  if (typeof unit === "string" && !chart.unit) chart.unit = unit;
  if (last && at - last > LONGEST_PAUSE_S) chart.data.forEach((column, index) => column.push(index ? null : last + 1));
  times.push(at);
  chart.metrics.forEach((metric, index) => chart.data[index + 1]?.push((readings[metric] as number | undefined) ?? null));
}

export function forget(chart: Series, before: number): void {
  const old = (chart.data[0] ?? []).findIndex((at) => (at ?? 0) >= before);
  if (old > 0) for (const column of chart.data) column.splice(0, old);
}
