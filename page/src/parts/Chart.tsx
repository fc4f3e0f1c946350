// One chart over time, drawn by uPlot: dragging over it chooses a time, and the times of alerts are shaded.

import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";

import { plural, reading } from "../format";
import { instant } from "../range";

const SHORTEST_S = 120;

export interface Series {
  title: string;
  metrics: readonly string[];
  unit: string;
  marks?: readonly string[];
  labels?: readonly string[];
  /** Times in seconds, then the values of each metric. */
  data: (number | null)[][];
}

export interface Band {
  start: number;
  end: number | null;
  isBad: boolean;
}

export interface Look {
  start: number;
  end: number;
  /** Goes on with the time. */
  isOpen: boolean;
}

interface Props {
  of: Series;
  look: Look;
  height: number;
  bands?: readonly Band[];
  /** Grows with each reading that comes. */
  turn: number;
  onZoom?: ((start: number, end: number) => void) | undefined;
}

const color = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export function Chart({ of, look, height, bands = [], turn, onZoom }: Props) {
  const canvas = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [at, setAt] = useState<number | null>(null);
  const latest = useRef({ look, bands, onZoom });
  latest.current = { look, bands, onZoom };

  useEffect(() => {
    const box = canvas.current;
    if (!box) return;
    const drawn = new uPlot(options(of, box.clientWidth || 240, height, latest, setAt), of.data as uPlot.AlignedData, box);
    plot.current = drawn;
    const sizes = new ResizeObserver(() => drawn.setSize({ width: box.clientWidth, height }));
    sizes.observe(box);
    return () => {
      sizes.disconnect();
      drawn.destroy();
      plot.current = null;
    };
  }, [of, height]);
  useEffect(() => {
    plot.current?.setData(of.data as uPlot.AlignedData);
  }, [turn, bands]);

  const readings = (of.data[1] ?? []).filter(Number.isFinite).length;
  const index = at ?? (of.data[0]?.length ?? 0) - 1;
  return (
    <figure class="chart" data-metric={of.metrics.join(" ")}>
      <figcaption>
        <span>{[of.title, of.unit].filter(Boolean).join(", ")}</span>
        {at !== null && <span class="at">{instant(of.data[0]?.[at] ?? 0).slice(0, 19).replace("T", " ")}</span>}
        <span class="values">
          {of.metrics.map((metric, series) => (
            <output key={metric} class={`series-${series}`} aria-label={of.labels?.[series] ?? of.title}>
              {`${of.marks ? `${of.marks[series]} ` : ""}${reading(of.data[series + 1]?.[index])}`}
            </output>
          ))}
        </span>
      </figcaption>
      <div class="canvas" ref={canvas} role="img" aria-label={`${of.title}: ${plural(readings, "reading")}`} style={{ height: `${height}px` }} />
    </figure>
  );
}

interface Latest {
  current: { look: Look; bands: readonly Band[]; onZoom?: ((start: number, end: number) => void) | undefined };
}

function options(of: Series, width: number, height: number, latest: Latest, onCursor: (at: number | null) => void): uPlot.Options {
  const axis = { stroke: color("--muted"), font: "11px system-ui", grid: { show: false }, ticks: { show: false } };
  const grid = { show: true, stroke: color("--line"), width: 1 };
  const range = (): [number, number] => rangeOf(of, latest.current.look);
  return {
    width,
    height,
    padding: [8, 4, 0, 0],
    tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
    legend: { show: false },
    cursor: { y: false, drag: { x: Boolean(latest.current.onZoom), y: false, setScale: false }, sync: { key: "metrics" } },
    hooks: {
      setCursor: [(plot) => onCursor(plot.cursor.idx ?? null)],
      setSelect: [(plot) => zoomed(plot, latest)],
      drawClear: [(plot) => shade(plot, latest.current.bands)],
    },
    scales: {
      x: { range },
      y: { range: (_, low, high) => heights(of.unit, low, high) },
    },
    series: [
      {},
      ...of.metrics.map((_, index) => ({
        stroke: color(`--series-${index}`),
        ...(index === 0 ? { fill: color("--series-fill") } : {}),
        width: 1.5,
        points: { show: () => of.data[0]?.length === 1 },
      })),
    ],
    axes: [
      { ...axis, space: 70, size: 22, gap: 4, values: (_, at) => at.map((second) => timeLabel(second, range())) },
      { ...axis, grid, space: 32, size: 40, gap: 6, values: (_, values) => values.map(reading) },
    ],
  };
}

function zoomed(plot: uPlot, latest: Latest): void {
  const { left, width } = plot.select;
  if (width < 4) return;
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  latest.current.onZoom?.(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
}

function shade(plot: uPlot, bands: readonly Band[]): void {
  const { ctx, bbox } = plot;
  const within = (at: number): number => Math.min(Math.max(plot.valToPos(at, "x", true), bbox.left), bbox.left + bbox.width);
  ctx.save();
  for (const { start, end, isBad } of bands) {
    const [left, right] = [within(start), within(end ?? Number.MAX_SAFE_INTEGER)];
    ctx.fillStyle = color(isBad ? "--band-bad" : "--band-warn");
    if (right > left) ctx.fillRect(left, bbox.top, Math.max(right - left, 2), bbox.height);
  }
  ctx.restore();
}

function rangeOf(of: Series, look: Look): [number, number] {
  if (!look.isOpen) return [look.start, look.end];
  const now = Date.now() / 1000;
  const first = of.data[0]?.[0] ?? now;
  // what began a minute ago fills the chart
  return [Math.max(now - (look.end - look.start), Math.min(first, now - SHORTEST_S)), now];
}

function heights(unit: string, low: number | null, high: number | null): [number, number] {
  if (unit === "%" || unit === "percent") return [0, 100];
  if (low === null || high === null || low === high) return [Math.min(0, low ?? 0), Math.max(1, (high ?? 0) * 1.5)];
  return [Math.min(0, low), high * 1.1];
}

function timeLabel(at: number, [first, last]: [number, number]): string {
  const text = instant(at);
  if (last - first > 400 * 86_400) return text.slice(0, 7);
  if (last - first > 2 * 86_400) return text.slice(5, 10);
  return last - first > 600 ? text.slice(11, 16) : text.slice(11, 19);
}
