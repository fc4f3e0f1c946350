// What one looks at first: what needs somebody, what this machine does, and what just happened.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";

import { ask, client, table, type Asked, type Row } from "../api";
import { useAnswer } from "../ask";
import { amount, count, plural, reading, text } from "../format";
import { Answered, Card, Notice, Time, Top } from "../parts/bits";
import { DeviceCharts } from "../parts/DeviceCharts";
import { Feed } from "../parts/Feed";
import { ImportHint } from "../parts/ImportHint";
import { List } from "../parts/List";
import { Revenue } from "../parts/Revenue";
import { Table, type Column } from "../parts/Table";
import { HEARD } from "../news";
import { useRange } from "../range";
import { may, mayAudit } from "../session";
import { alertColumns } from "./Alerts";
import { COLUMNS, SILENT, toDevice } from "./Devices";
import { invoiceColumns, toInvoice } from "./Invoices";
import { historyOf } from "../parts/History";
import { withQuery } from "../address";

const FEW = 10;
const CHART_HEIGHT = 104;
const MOST_CHARTS = 6;
const GONE = ["DECOMMISSIONED", "ARCHIVED", "DELETED"];

export function Overview() {
  const device = useLastHeard();
  return (
    <>
      <Top title="Overview" />
      <div class="tiles">
        {may("alerts:read") && <OpenAlerts />}
        {may("devices:read") && <SilentDevices />}
        {may("analytics:read") && <MoneyDue />}
        {may("executions:read", "executions:own") && <Executions />}
      </div>
      <div class="sides">
        <div class="main">
          {may("devices:read") && <LastHeard device={device} />}
          {may("devices:read") && (
            <List
              id="devices"
              title="Devices"
              path="/v1/devices"
              columns={COLUMNS.filter(({ title }) => title !== "Kind")}
              categories={["device", HEARD]}
              to={(device) => toDevice(String(device.id))}
              query={{ sort: "-last_seen_at" }}
              isCurrent={(row) => row.id === device?.id}
              isShort
              limit={FEW}
              more={<a href="/devices">All devices</a>}
              empty={<Notice>No devices yet.</Notice>}
            />
          )}
          {may("devices:read") && <Busiest />}
          {may("alerts:read") && (
            <List
              id="alerts"
              title="Alerts"
              path="/v1/alerts"
              columns={alertColumns}
              categories={["alert"]}
              query={{ status: ["OPEN", "ACKNOWLEDGED"] }}
              to={mayAudit() ? (alert) => withQuery("/", historyOf(`alert-${alert.id}`)) : undefined}
              isShort
              limit={FEW}
              more={<a href="/alerts">All alerts</a>}
              empty={<Notice>No alerts.</Notice>}
            />
          )}
          {may("analytics:read") && (
            <div class="two">
              <Revenue
                id="revenue-over-time"
                title="Revenue over time"
                choices={["month", "day"]}
                newestLast
                shown={12}
                empty={<ImportHint />}
              />
              <Revenue id="revenue-by-group" title="Revenue by" choices={["country", "product"]} shown={8} empty={<ImportHint />} />
            </div>
          )}
          {may("invoices:read") && (
            <List
              id="invoices"
              title="Invoices"
              path="/v1/invoices"
              columns={invoiceColumns}
              categories={["invoice"]}
              to={(invoice) => toInvoice(String(invoice.id))}
              isShort
              limit={FEW}
              more={<a href="/invoices">All invoices</a>}
              empty={<ImportHint />}
            />
          )}
        </div>
        {mayAudit() && (
          <Card id="events" title="Newest events" more={<a href="/events">All events</a>}>
            <Feed />
          </Card>
        )}
      </div>
    </>
  );
}

type Load = Row<"/v1/metrics/top">;

const LOADS: readonly Column<Load>[] = [
  { title: "Device", cell: (load) => text(load.device_id) },
  { title: "At most", kind: "number", cell: (load) => reading(load.value) },
  { title: "Last", kind: "number", cell: (load) => reading(load.last) },
  { title: "At", kind: "number spare", cell: (load) => <Time at={load.last_at} /> },
];

function Busiest() {
  const answer = useAnswer((asked) => table("/v1/metrics/top", { metric: "cpu_percent", start: "-1h", limit: FEW }, {}, asked), [], [HEARD]);
  return (
    <Card id="busiest" title="Busiest devices: processor, last hour, percent">
      <Answered answer={answer}>
        {({ rows }) =>
          rows.length ? (
            <Table columns={LOADS} rows={rows} keyOf={(load) => String(load.device_id)} to={(load) => toDevice(String(load.device_id))} />
          ) : (
            <Notice>No device has said its cpu_percent in the last hour.</Notice>
          )
        }
      </Answered>
    </Card>
  );
}

type Device = Row<"/v1/devices">;

/** The device that was heard of last, when one came here: what one looks at stays. */
function useLastHeard(): Device | null {
  const [shown, setShown] = useState<Device | null>(null);
  const load = async (asked: Asked) => (may("devices:read") ? (await table("/v1/devices", { sort: "-last_seen_at", limit: 1 }, {}, asked)).rows : []);
  const { data } = useAnswer(load, [], shown ? [] : ["device"]);
  useEffect(() => {
    if (!shown && data?.[0]) setShown(data[0]);
  }, [data]);
  return shown;
}

function LastHeard({ device }: { device: Device | null }) {
  const range = useRange();
  const id = String(device?.id ?? "");
  const name = device?.hostname ?? id;
  return (
    <Card
      id="metrics"
      title={device ? `Metrics of ${name}` : "Metrics"}
      more={device ? <a href={toDevice(id)} aria-label={`More of ${name}`}>More</a> : null}
    >
      {device ? (
        <DeviceCharts key={id} id={id} range={range} height={CHART_HEIGHT} most={MOST_CHARTS} />
      ) : (
        <Notice>The charts of a device appear here.</Notice>
      )}
    </Card>
  );
}

interface TileProps {
  to: string;
  title: string;
  value: string;
  detail?: ComponentChildren;
  isBad?: boolean;
}

const Tile = ({ to, title, value, detail, isBad = false }: TileProps) => (
  <a class={isBad ? "tile attention" : "tile"} href={to}>
    <span class="muted">{title}</span>
    <strong>{value}</strong>
    <small>{detail ?? " "}</small>
  </a>
);

const valueOf = (loaded: unknown, text: () => string): string => (loaded ? text() : "…");

interface Facet {
  field?: string | null;
  value?: string | null;
  count?: number | null;
}

const counted = (rows: readonly Facet[], field: string): Map<string, number> =>
  new Map(rows.filter((row) => row.field === field).map((row) => [String(row.value), row.count ?? 0]));

function OpenAlerts() {
  const { data } = useAnswer(async () => (await ask(client.GET("/v1/alerts/filters"))).rows as Facet[], [], ["alert"]);
  const statuses = counted(data ?? [], "status");
  const open = statuses.get("OPEN") ?? 0;
  return (
    <Tile
      to="/alerts?status=OPEN"
      title="Open alerts"
      value={valueOf(data, () => count(open))}
      detail={`${count(statuses.get("ACKNOWLEDGED") ?? 0)} acknowledged`}
      isBad={open > 0}
    />
  );
}

function SilentDevices() {
  const load = async () => {
    const [all, silent] = await Promise.all([
      ask(client.GET("/v1/devices/filters")),
      ask(client.GET("/v1/devices/filters", { params: { query: { last_seen_at_before: SILENT } } })),
    ]);
    return { all: counted(all.rows as Facet[], "status"), silent: counted(silent.rows as Facet[], "status") };
  };
  const { data } = useAnswer(load, [], ["device", HEARD]);
  const sum = (of: Map<string, number>): number => [...of].reduce((total, [status, number]) => (GONE.includes(status) ? total : total + number), 0);
  const silent = data ? sum(data.silent) : 0;
  return (
    <Tile
      to="/devices?silent=yes"
      title="Silent for 15 minutes"
      value={valueOf(data, () => count(silent))}
      detail={data && `of ${plural(sum(data.all), "device")}`}
      isBad={silent > 0}
    />
  );
}

function MoneyDue() {
  const load = async (asked: Asked) => {
    const { rows } = await table("/v1/analytics/receivables", { by: "age", state: "due", direction: "out" }, {}, asked);
    const due = new Map<string, number>();
    for (const row of rows) due.set(String(row.currency), (due.get(String(row.currency)) ?? 0) + Number(row.due));
    return [...due].sort(([, one], [, other]) => other - one);
  };
  const { data } = useAnswer(load, [], ["invoice"]);
  const [first, ...others] = data ?? [];
  return (
    <Tile
      to="/invoices"
      title="Money due"
      // a sum for the eye: the amounts themselves are in the invoices
      value={valueOf(data, () => (first ? `${amount(first[1].toFixed(2))} ${first[0]}` : "nothing"))}
      detail={others.map(([currency, due]) => `${amount(due.toFixed(2))} ${currency}`).join(" · ")}
    />
  );
}

function Executions() {
  const { data } = useAnswer(async () => (await ask(client.GET("/v1/executions/filters"))).rows as Facet[], [], ["execution"]);
  const statuses = counted(data ?? [], "status");
  const failed = statuses.get("FAILED") ?? 0;
  return (
    <Tile
      to="/workflows"
      title="Workflows running"
      value={valueOf(data, () => count(statuses.get("RUNNING") ?? 0))}
      detail={`${count(failed)} failed`}
      isBad={failed > 0}
    />
  );
}
