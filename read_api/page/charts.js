// A device's metrics: the last hour, then each reading as it comes. Drawn by uPlot.

import { get } from "./api.js";
import { byId, el, notice } from "./dom.js";
import { day, plural, reading } from "./format.js";

const { uPlot } = globalThis;

const HOUR_S = 3600;
const SHORTEST_S = 120;
const STEP_S = 2;
// no line is drawn over a time in which nothing was reported
const LONGEST_PAUSE_S = 90;
const MOST_CHARTS = 12;
const PAST_POINTS = 400;
const HEIGHT = 104;

const KNOWN = [
  { title: "CPU", metrics: ["cpu_percent"], unit: "%" },
  { title: "Memory", metrics: ["memory_percent"], unit: "%" },
  { title: "Disk", metrics: ["disk_percent"], unit: "%" },
  { title: "Network", metrics: ["network_received", "network_sent"], marks: ["↓", "↑"], labels: ["received", "sent"], unit: "B/s" },
  { title: "Load, 1 min", metrics: ["load_1m"], unit: "" },
];

function chartsFor(metrics) {
  const known = KNOWN.filter((chart) => chart.metrics.some((metric) => metrics.includes(metric)));
  const grouped = known.flatMap((chart) => chart.metrics);
  const others = metrics
    .filter((metric) => !grouped.includes(metric))
    .map((metric) => ({ title: metric.replaceAll("_", " "), metrics: [metric], unit: "" }));
  return [...known, ...others];
}

const seconds = (instant) => Date.parse(instant) / 1000;
const instant = (at) => new Date(at * 1000).toISOString();
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

class Chart {
  #plot;
  #sizes;
  #values;
  #live;
  #title;

  constructor(chart, data, { live }) {
    Object.assign(this, chart);
    this.data = data;
    this.#live = live;
    this.#values = chart.metrics.map((_, index) => el("output", { class: `series-${index}` }));
    this.#title = el("span", {});
    this.canvas = el("div", { class: "canvas", role: "img" });
    this.element = el(
      "figure",
      { class: "chart", "data-metric": chart.metrics.join(" ") },
      el("figcaption", {}, this.#title, el("span", { class: "values" }, ...this.#values)),
      this.canvas,
    );
    this.#describe();
  }

  draw() {
    this.#plot = new uPlot(this.#options(), this.data, this.canvas);
    this.#sizes = new ResizeObserver(() => this.#plot.setSize({ width: this.canvas.clientWidth, height: HEIGHT }));
    this.#sizes.observe(this.canvas);
    this.#show(null);
  }

  close() {
    this.#sizes?.disconnect();
    this.#plot?.destroy();
  }

  // readings: {metric: value}; one row of the data for each
  add(at, readings, unit) {
    const last = this.data[0].at(-1);
    if (at <= last) return;
    if (unit && !this.unit) {
      this.unit = unit;
      this.#describe();
    }
    if (at - last > LONGEST_PAUSE_S) this.data.forEach((column, index) => column.push(index ? null : last + 1));
    this.data[0].push(at);
    this.metrics.forEach((metric, index) => this.data[index + 1].push(readings[metric]));
  }

  redraw() {
    const old = this.data[0].findIndex((at) => at >= Date.now() / 1000 - HOUR_S);
    if (old > 0) this.data.forEach((column) => column.splice(0, old));
    this.#plot.setData(this.data);
    this.#show(this.#plot.cursor.idx);
  }

  #describe() {
    const { title, unit, labels } = this;
    this.#title.textContent = [title, unit].filter(Boolean).join(", ");
    this.#values.forEach((value, index) => value.setAttribute("aria-label", labels?.[index] ?? title));
  }

  #show(index) {
    const readings = this.data[1].filter(Number.isFinite).length;
    this.canvas.setAttribute("aria-label", `${this.title}: ${plural(readings, "reading")}`);
    const at = index ?? this.data[0].length - 1;
    this.#values.forEach((value, series) => {
      const mark = this.marks ? `${this.marks[series]} ` : "";
      value.textContent = mark + reading(this.data[series + 1][at]);
    });
  }

  #range() {
    const now = Date.now() / 1000;
    const first = this.data[0][0] ?? now;
    if (!this.#live) return [first, Math.max(this.data[0].at(-1), first + SHORTEST_S)];
    return [Math.max(now - HOUR_S, Math.min(first, now - SHORTEST_S)), now];
  }

  #options() {
    const axis = { stroke: color("--muted"), font: "11px system-ui", grid: { show: false }, ticks: { show: false } };
    const grid = { show: true, stroke: color("--line"), width: 1 };
    const lines = this.metrics.map((_, index) => ({
      stroke: color(`--series-${index}`),
      fill: index === 0 ? color("--series-fill") : undefined,
      width: 1.5,
      points: { show: () => this.data[0].length === 1 },
    }));
    return {
      width: this.canvas.clientWidth || 240,
      height: HEIGHT,
      padding: [8, 4, 0, 0],
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, sync: { key: "metrics" } },
      hooks: { setCursor: [(plot) => this.#show(plot.cursor.idx)] },
      scales: {
        x: { range: () => this.#range() },
        y: { range: (_, low, high) => this.#heights(low, high) },
      },
      series: [{}, ...lines],
      axes: [
        { ...axis, space: 70, size: 22, gap: 4, values: (_, at) => at.map((second) => this.#timeLabel(second)) },
        { ...axis, grid, space: 32, size: 40, gap: 6, values: (_, values) => values.map(reading) },
      ],
    };
  }

  #heights(low, high) {
    if (this.unit === "%" || this.unit === "percent") return [0, 100];
    if (low === null || low === high) return [Math.min(0, low ?? 0), Math.max(1, (high ?? 0) * 1.5)];
    return [Math.min(0, low), high * 1.1];
  }

  #timeLabel(at) {
    const text = instant(at);
    const [first, last] = this.#range();
    if (last - first > 2 * 86_400) return text.slice(5, 10);
    return last - first > 600 ? text.slice(11, 16) : text.slice(11, 19);
  }
}

export class DeviceCharts {
  deviceId = null;
  #charts = [];
  #metrics = [];
  #waiting = [];
  #asked = 0;
  #live = true;
  #box = byId("charts");

  constructor() {
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.open(this.deviceId));
  }

  async open(deviceId) {
    const asked = ++this.#asked;
    if (deviceId !== this.deviceId) {
      this.#clear();
      this.#box.replaceChildren(notice("Loading…"));
    }
    this.deviceId = deviceId;
    this.#waiting = [];
    try {
      const loaded = await this.#load(deviceId);
      if (asked === this.#asked) this.#show(loaded);
    } catch (error) {
      if (asked === this.#asked && !this.#charts.length) this.#box.replaceChildren(notice(error.message, "error"));
    }
  }

  // readings that come while the history is being loaded are added to it afterwards
  add(events) {
    const facts = events.filter(
      ({ type, stream }) => type === "device.metrics.reported" && stream === `device-${this.deviceId}`,
    );
    if (!facts.length) return;
    this.#waiting.push(...facts);
    if (this.#charts.length) this.#addWaiting();
  }

  // true where a metric came that was not there before, or the charts show the past
  get isOutdated() {
    const seen = this.#waiting.flatMap((fact) => Object.keys(fact.data.metrics));
    return seen.some((metric) => !this.#live || !this.#metrics.includes(metric));
  }

  #clear() {
    this.#charts.forEach((chart) => chart.close());
    this.#charts = [];
    this.#metrics = [];
  }

  #addWaiting() {
    if (this.isOutdated) return;
    for (const fact of this.#waiting) {
      for (const chart of this.#charts) {
        if (chart.metrics.some((metric) => metric in fact.data.metrics)) {
          chart.add(seconds(fact.happened_at), fact.data.metrics, fact.data.unit);
        }
      }
    }
    this.#waiting = [];
    this.#charts.forEach((chart) => chart.redraw());
  }

  async #load(deviceId) {
    const path = `/v1/devices/${encodeURIComponent(deviceId)}/metrics`;
    const metrics = (await get(path)).rows.map((row) => row.metric);
    const now = Date.now() / 1000;
    const lastHour = { start: instant(now - HOUR_S), step: `${STEP_S}s` };
    const wanted = chartsFor(metrics).slice(0, MOST_CHARTS);
    let columns = (await allColumns(path, wanted, lastHour)).map(withPauses);
    const live = columns.some((data) => data[0].length) || !metrics.length;
    if (!live) columns = await allColumns(path, wanted, await pastOf(path, metrics[0], now));
    return { metrics, wanted, columns, live };
  }

  #show({ metrics, wanted, columns, live }) {
    this.#clear();
    this.#metrics = metrics;
    this.#live = live;
    this.#charts = wanted.map((chart, index) => new Chart(chart, columns[index], { live }));
    if (!this.#charts.length) {
      this.#box.replaceChildren(notice("No readings yet. They appear here as soon as the device sends any."));
      return;
    }
    const notes = [];
    if (!live) notes.push(notice(`No reading in the last hour: data ends on ${ends(columns).at(-1)}. This is ${span(columns)}.`));
    const more = chartsFor(metrics).length - wanted.length;
    if (more > 0) notes.push(notice(`${plural(more, "more metric")} in the API.`));
    this.#box.replaceChildren(...notes, ...this.#charts.map((chart) => chart.element));
    this.#charts.forEach((chart) => chart.draw());
    if (this.#waiting.length) this.#addWaiting();
  }
}

const allColumns = (path, charts, range) => Promise.all(charts.map((chart) => columnsOf(path, chart, range)));

async function columnsOf(path, { metrics }, range) {
  const tables = await Promise.all(
    metrics.map(async (metric) => {
      const { rows } = await get(path, { parameters: { ...range, metric } });
      return [rows.map((row) => seconds(row.at)), rows.map((row) => row.value)];
    }),
  );
  return uPlot.join(tables);
}

// uPlot draws a line over undefined, but not over null.
function withPauses(columns) {
  const [times] = columns;
  const spaced = columns.map(() => []);
  const push = (row) => row.forEach((value, index) => spaced[index].push(value));
  times.forEach((at, index) => {
    if (at - times[index - 1] > LONGEST_PAUSE_S) push([at - 1, ...columns.slice(1).map(() => null)]);
    push(columns.map((column) => column[index]));
  });
  return spaced;
}

// Where the readings of an older time are: the range to ask for, with a step that gives a few hundred points.
async function pastOf(path, metric, now) {
  const week_s = 7 * 86_400;
  const { rows } = await get(path, { parameters: { metric, start: instant(0), step: `${week_s}s` } });
  if (!rows.length) return { start: instant(now - HOUR_S), step: `${STEP_S}s` };
  const [first, last] = [seconds(rows[0].at), Math.min(seconds(rows.at(-1).at) + week_s, now)];
  const step = Math.max(1, Math.ceil((last - first) / PAST_POINTS));
  return { start: instant(first), end: instant(last), step: `${step}s` };
}

function ends(columns) {
  const times = columns.flatMap((data) => [data[0][0], data[0].at(-1)]).filter(Number.isFinite);
  return [day(instant(Math.min(...times))), day(instant(Math.max(...times)))];
}

function span(columns) {
  const [first, last] = ends(columns);
  return first === last ? first : `${first} to ${last}`;
}
