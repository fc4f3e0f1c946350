// All charts of a device: the last hour, then each reading as it comes; or any other time that one chooses.

import { useEffect, useRef, useState } from "preact/hooks";

import { table } from "../api";
import { useAnswer } from "../ask";
import { plural } from "../format";
import type { Recorded } from "../live";
import { addReading, forget, loadMetrics } from "../metrics";
import { follow, useNews } from "../news";
import { keyOf, seconds, type Range } from "../range";
import { throttled } from "../throttled";
import { Answered, Notice } from "./bits";
import { Chart, type Band } from "./Chart";

const MOST_CHARTS = 12;
const AGAIN_MS = 2000;
// what comes is added to the charts of a day; in longer times a reading is no point of its own
const LONGEST_LIVE_S = 90_000;

interface Props {
  id: string;
  range: Range;
  height: number;
  most?: number;
  onZoom?: (start: number, end: number) => void;
}

export function DeviceCharts({ id, range, height, most = MOST_CHARTS, onZoom }: Props) {
  const scheme = useScheme();
  const answer = useAnswer(() => loadMetrics(id, range, most), [id, keyOf(range), most, scheme], ["charts"]);
  const bands = useAnswer((asked) => alertsOf(id, asked.position), [id], ["alert"]);
  const [turn, setTurn] = useState(0);
  const waiting = useRef<Recorded[]>([]);
  const reload = useRef(throttled(() => answer.reload(), AGAIN_MS));
  useEffect(() => {
    follow(id);
    return () => follow(null);
  }, [id]);
  const add = (): void => {
    const loaded = answer.data;
    if (!loaded || !waiting.current.length || !range.isOpen) return;
    const seen = waiting.current.flatMap(({ data }) => Object.keys((data["metrics"] ?? {}) as object));
    // a metric came that was not there before, or the charts show the past
    if (!loaded.look.isOpen || seen.some((metric) => !loaded.metrics.includes(metric))) {
      waiting.current = [];
      reload.current();
      return;
    }
    const span = loaded.look.end - loaded.look.start;
    if (span > LONGEST_LIVE_S) return;
    for (const { happened_at, data } of waiting.current) {
      const readings = data["metrics"] as Record<string, unknown>;
      for (const chart of loaded.charts) {
        if (chart.metrics.some((metric) => metric in readings)) addReading(chart, seconds(happened_at), readings, data["unit"]);
      }
    }
    waiting.current = [];
    for (const chart of loaded.charts) forget(chart, Date.now() / 1000 - span);
    setTurn((before) => before + 1);
  };
  useNews((events) => {
    const ours = events.filter(({ type, stream }) => type === "device.metrics.reported" && stream === `device-${id}`);
    waiting.current.push(...ours);
    add();
  });
  // readings that came while the history was being loaded are added to it afterwards
  useEffect(add, [answer.data]);
  return (
    <div id="charts" class="charts">
      <Answered answer={answer}>
        {({ charts, look, past, more, metrics }) => (
          <>
            {!metrics.length && <Notice>No readings yet. They appear here as soon as the device sends any.</Notice>}
            {past && <Notice>{pastText(past, range)}</Notice>}
            {more > 0 && <Notice>{plural(more, "more metric")} in the device's own room and in the API.</Notice>}
            {charts.map((chart) => (
              <Chart
                key={`${chart.metrics.join(" ")} ${keyOf(range)}`}
                of={chart}
                look={look}
                height={height}
                bands={bands.data ?? []}
                turn={turn}
                onZoom={onZoom}
              />
            ))}
          </>
        )}
      </Answered>
    </div>
  );
}

function pastText([first, last]: readonly [string, string], range: Range): string {
  if (!range.isUsual) return `No reading in this time: data goes from ${first} to ${last}.`;
  return `No reading in the last hour: data ends on ${last}. This is ${first === last ? first : `${first} to ${last}`}.`;
}

async function alertsOf(id: string, position: string | null | undefined): Promise<Band[]> {
  const { rows } = await table("/v1/alerts", { device_id: [id], limit: 100 }, {}, { position });
  return rows.map((row) => ({
    start: seconds(String(row["raised_at"])),
    end: row["resolved_at"] ? seconds(String(row["resolved_at"])) : null,
    isBad: row.severity === "critical",
  }));
}

/** Charts take their colours when they are drawn. */
function useScheme(): string {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const [scheme, setScheme] = useState(dark.matches);
  useEffect(() => {
    const changed = (): void => setScheme(dark.matches);
    dark.addEventListener("change", changed);
    return () => dark.removeEventListener("change", changed);
  }, []);
  return scheme ? "dark" : "light";
}
