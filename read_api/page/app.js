// The page: takes the key, asks for everything once, then keeps it up to date with what is recorded.

import { deviceOf, forgetKey, get, signedOut, storedKey, storeKey } from "./api.js";
import { DeviceCharts } from "./charts.js";
import { byId, el, notice, throttled, timeOf } from "./dom.js";
import { Events } from "./events.js";
import { ago, amount, count, day, reading, short, words } from "./format.js";
import { showHealth } from "./health.js";
import { History } from "./history.js";
import { List } from "./list.js";
import { Live } from "./live.js";
import { Revenue } from "./revenue.js";

const HEALTH_MS = 5000;
const DEVICES_MS = 15_000;
const TICK_MS = 1000;

let tenant = "TENANT";

const status = (text) => el("span", { class: `status ${text.toLowerCase()}` }, words(text));
const lastSeen = (device) => el("span", { "data-device": device.id }, device.last_seen_at ? ago(device.last_seen_at) : "never");
const command = (text) => el("code", {}, text);

// --- what is on the page -------------------------------------------------------------------------------------------

const charts = new DeviceCharts();
const panel = new History();

const devices = new List(byId("devices"), {
  path: "/v1/devices",
  limit: 10,
  columns: [
    { title: "Device", cell: (device) => device.hostname ?? device.id },
    { title: "Status", cell: (device) => status(device.status ?? "unknown") },
    { title: "System", cell: (device) => [device.os_type, device.os_version].filter(Boolean).join(" ") || "–", kind: "spare" },
    { title: "Last seen", kind: "number", cell: (device) => lastSeen(device) },
  ],
  empty: () => notice("No devices yet."),
  isCurrent: (device) => device.id === charts.deviceId,
  onRows: openFirst,
  onOpen: (device) => {
    openDevice(device);
    panel.open(`device-${device.id}`);
  },
});

const invoices = new List(byId("invoices"), {
  path: "/v1/invoices",
  limit: 10,
  filters: { kind: "Kind", country: "Country" },
  columns: [
    { title: "Number", cell: (invoice) => invoice.number },
    { title: "Issued", cell: (invoice) => timeOf(invoice.issue_date, day) },
    { title: "Kind", cell: (invoice) => words(invoice.kind), kind: "spare" },
    { title: "Customer", cell: (invoice) => invoice.party || "–", kind: "spare" },
    { title: "Country", cell: (invoice) => invoice.country || "–" },
    { title: "Lines", kind: "number spare", cell: (invoice) => count(invoice.line_count) },
    { title: "Total", kind: "number", cell: (invoice) => `${amount(invoice.total)} ${invoice.currency}` },
    { title: "Status", cell: (invoice) => status(invoice.status), kind: "spare" },
  ],
  empty: importHint,
  onOpen: (invoice) => panel.open(`invoice-${invoice.id}`),
});

const alerts = new List(byId("alerts"), {
  path: "/v1/alerts",
  limit: 10,
  columns: [
    { title: "Rule", cell: (alert) => alert.rule },
    { title: "Severity", cell: (alert) => status(alert.severity) },
    { title: "Status", cell: (alert) => status(alert.status) },
    { title: "Device", cell: (alert) => alert.device_id ?? "–" },
    { title: "Value", kind: "number spare", cell: (alert) => reading(alert.value) },
    { title: "Raised", kind: "number", cell: (alert) => timeOf(alert.raised_at, short) },
  ],
  empty: () => notice("No alerts."),
  onOpen: (alert) => panel.open(`alert-${alert.id}`),
});

const revenues = [
  new Revenue(byId("revenue-over-time"), {
    title: "Revenue over time",
    choices: ["month", "day"],
    newestLast: true,
    shown: 12,
    empty: importHint,
  }),
  new Revenue(byId("revenue-by-group"), { title: "Revenue by", choices: ["country", "product"], shown: 8, empty: importHint }),
];

const events = new Events(byId("events"), (event) => panel.open(event.stream, event.version));

function importHint() {
  return el("p", { class: "notice" }, "No invoices yet. Bring in your own: ", command(`factline import invoices FILE --tenant ${tenant}`));
}

// the device that was heard of last: there is something to see
async function openFirst() {
  if (charts.deviceId !== null) return;
  const { rows } = await get("/v1/devices", { parameters: { sort: "-last_seen_at", limit: 1 } });
  if (charts.deviceId === null && rows.length) openDevice(rows[0]);
}

function openDevice(device) {
  if (charts.deviceId === device.id) return;
  byId("metrics-title").textContent = `Metrics of ${device.hostname ?? device.id}`;
  charts.open(device.id);
  live.follow(device.id);
  devices.redraw();
}

// --- what keeps it up to date --------------------------------------------------------------------------------------

const places = {};
const refresh = (name, load, ms) => throttled(() => load(places[name]), ms);
const refreshers = {
  device: refresh("device", (place) => devices.load(place), 1000),
  alert: refresh("alert", (place) => alerts.load(place), 1000),
  invoice: refresh("invoice", loadInvoices, 2000),
};
const reopenCharts = throttled(() => charts.open(charts.deviceId), 2000);

async function loadInvoices(place) {
  await Promise.all([invoices.load(place), invoices.loadFilters().catch(() => {}), ...revenues.map((card) => card.load(place))]);
}

function onEvents(batch) {
  showTenant(batch[0].tenant_id);
  charts.add(batch);
  if (charts.isOutdated) reopenCharts();
  batch.filter((event) => event.position.startsWith("telemetry")).forEach(seen);
  const decided = batch.filter((event) => event.position.startsWith("events"));
  if (!decided.length) return;
  events.add(decided);
  panel.add(decided);
  for (const event of decided) {
    const category = event.stream.slice(0, event.stream.indexOf("-"));
    places[category] = event.position;
    refreshers[category]?.();
  }
}

function seen(fact) {
  const device = devices.rows.find((row) => row.id === deviceOf(fact.stream));
  if (device) device.last_seen_at = fact.recorded_at;
}

function showTenant(name) {
  if (tenant === name) return;
  tenant = name;
  byId("tenant").textContent = name;
  if (!invoices.rows.length) loadInvoices();
}

const LABELS = { live: "Live", reconnecting: "Reconnecting…", paused: "Paused" };

function onState(state, detail = "") {
  const badge = byId("connection");
  if (state === "live" && badge.className.includes("reconnecting")) loadAll();
  badge.hidden = false;
  badge.className = `badge ${state}`;
  badge.textContent = LABELS[state];
  badge.title = detail;
}

const live = new Live({ onEvents, onState });

function loadAll() {
  for (const name of Object.keys(places)) delete places[name];
  return Promise.all([devices.load(), alerts.load(), loadInvoices(), events.load(), showHealth()]);
}

// a browser opens few connections to one host: a tab that nobody sees gives its own back
document.addEventListener("visibilitychange", () => {
  if (byId("board").hidden) return;
  if (document.hidden) {
    live.stop();
    onState("paused");
  } else {
    live.start();
    loadAll();
    if (charts.deviceId) charts.open(charts.deviceId);
  }
});

function every(ms, run) {
  setInterval(() => {
    if (!document.hidden && !byId("board").hidden) run();
  }, ms);
}

every(HEALTH_MS, showHealth);
every(DEVICES_MS, () => devices.load());
every(TICK_MS, () => {
  for (const element of byId("devices").querySelectorAll("[data-device]")) {
    const device = devices.rows.find((row) => row.id === element.dataset.device);
    if (device?.last_seen_at) element.textContent = ago(device.last_seen_at);
  }
});

// --- the key -------------------------------------------------------------------------------------------------------

function takeKeyFromAddress() {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (!key) return;
  history.replaceState(null, "", location.pathname);
  storeKey(key);
}

function showBoard() {
  byId("sign-in").hidden = true;
  byId("board").hidden = false;
  byId("sign-out").hidden = false;
  live.start();
  loadAll();
}

function showForm(message = "") {
  live.stop();
  forgetKey();
  byId("board").hidden = true;
  byId("sign-out").hidden = true;
  byId("connection").hidden = true;
  byId("health").textContent = "";
  byId("sign-in").hidden = false;
  byId("sign-in-error").textContent = message;
  byId("sign-in-error").hidden = !message;
  byId("key").focus();
}

byId("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  storeKey(byId("key").value.trim());
  try {
    await get("/v1/devices", { parameters: { limit: 1 } });
  } catch (error) {
    // a key that may not read devices may read other things
    if (error.status !== 403) return showForm(error.message);
  }
  // a fresh page: nothing of another tenant's is left on it
  location.reload();
});

byId("sign-out").addEventListener("click", () => {
  forgetKey();
  location.reload();
});

addEventListener("hashchange", () => {
  takeKeyFromAddress();
  location.reload();
});

signedOut.addEventListener("refused", (event) => showForm(event.detail));

takeKeyFromAddress();
if (storedKey()) showBoard();
else showForm();
