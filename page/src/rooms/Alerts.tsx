// Alerts, open ones first of all: taken on and resolved, one by one or many at once.

import { useState } from "preact/hooks";

import { ask, client, command, type Row } from "../api";
import { useAddress, withQuery } from "../address";
import { count, reading, short, text } from "../format";
import { Act, type Field } from "../parts/Act";
import { Notice, Status, Time, Top } from "../parts/bits";
import { historyOf } from "../parts/History";
import { List } from "../parts/List";
import type { Column } from "../parts/Table";
import { may, mayAudit } from "../session";
import { toDevice } from "./Devices";

export type Alert = Row<"/v1/alerts">;

const NOTE: readonly Field[] = [{ name: "note", label: "Note", isOptional: true }];
const SEVERITIES = ["info", "warning", "critical"] as const;

export const alertColumns: readonly Column<Alert>[] = [
  { title: "Rule", sort: "rule", cell: (alert) => text(alert["rule"]) },
  { title: "Severity", sort: "severity", cell: (alert) => <Status of={alert.severity} /> },
  { title: "Status", sort: "status", cell: (alert) => <Status of={alert.status} /> },
  { title: "Device", sort: "device_id", cell: (alert) => (alert.device_id ? <a href={toDevice(alert.device_id)}>{alert.device_id}</a> : "–") },
  { title: "Value", sort: "value", kind: "number spare", cell: (alert) => reading(alert["value"]) },
  { title: "Raised", sort: "raised_at", kind: "number", cell: (alert) => <Time at={alert["raised_at"]} as={short} /> },
];

const idOf = (alert: Alert): string => String(alert.id);

export function Alerts() {
  const { query } = useAddress();
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const mayWrite = may("fleet:write");
  const toggle = (id: string): void => setChosen((before) => new Set(before.has(id) ? [...before].filter((one) => one !== id) : [...before, id]));
  const box: Column<Alert> = {
    title: "Choose",
    cell: (alert) =>
      alert.status === "RESOLVED" ? null : (
        <input type="checkbox" aria-label={`Choose ${text(alert["rule"])}`} checked={chosen.has(idOf(alert))} onChange={() => toggle(idOf(alert))} />
      ),
  };
  const acts: Column<Alert> = { title: "What to do", kind: "acts", cell: (alert) => <OneAlert alert={alert} /> };
  return (
    <>
      <Top title="Alerts">
        {mayWrite && chosen.size > 0 && <Bulk ids={[...chosen]} onDone={() => setChosen(new Set())} />}
        {mayWrite && <Raise />}
      </Top>
      <List
        id="alerts"
        title="All alerts"
        path="/v1/alerts"
        columns={mayWrite ? [...alertColumns, acts] : alertColumns}
        categories={["alert"]}
        filters={{ status: "Status", severity: "Severity", rule: "Rule" }}
        hasWords
        to={mayAudit() ? (alert) => withQuery("/alerts", { ...query, ...historyOf(`alert-${idOf(alert)}`) }) : undefined}
        before={mayWrite ? box : undefined}
        empty={<Notice>No alerts. Define a watch, and it raises one when something lasts, changes or fails too often.</Notice>}
      />
    </>
  );
}

function OneAlert({ alert }: { alert: Alert }) {
  const alert_id = idOf(alert);
  if (alert.status === "RESOLVED") return null;
  return (
    <>
      {alert.status === "OPEN" && (
        <Act
          label="Acknowledge"
          category="alert"
          fields={NOTE}
          run={({ note = "" }, key) => command("/v1/commands/fleet/AcknowledgeAlert", { alert_id, note }, key)}
        />
      )}
      <Act
        label="Resolve"
        category="alert"
        fields={NOTE}
        run={({ note = "" }, key) => command("/v1/commands/fleet/ResolveAlert", { alert_id, note }, key)}
      />
    </>
  );
}

function Bulk({ ids, onDone }: { ids: readonly string[]; onDone(): void }) {
  const all = (name: "AcknowledgeAlert" | "ResolveAlert") => async (values: Record<string, string>, key: string) => {
    const body = ids.map((alert_id, index) => ({
      id: `${key}-${index}`,
      command: `fleet.${name}`,
      body: { alert_id, note: values["note"] ?? "" },
    }));
    const { replies } = await ask(client.POST("/v1/commands", { body: body as never }));
    onDone();
    const positions = (replies ?? []).flatMap((reply) => reply.position?.token ?? []);
    const refusals = (replies ?? []).filter((reply) => reply.outcome !== "accepted");
    if (refusals.length) throw new Error(`${count(refusals.length)} of ${count(ids.length)} were refused; the others are done`);
    return positions.at(-1) ?? null;
  };
  return (
    <>
      <Act label={`Acknowledge ${count(ids.length)}`} category="alert" fields={NOTE} run={all("AcknowledgeAlert")} />
      <Act label={`Resolve ${count(ids.length)}`} category="alert" fields={NOTE} run={all("ResolveAlert")} />
    </>
  );
}

const Raise = () => (
  <Act
    label="Raise"
    title="Raise an alert"
    category="alert"
    fields={[
      { name: "rule", label: "What is wrong" },
      { name: "severity", label: "Severity", kind: "choice", values: SEVERITIES, value: "warning" },
      { name: "device_id", label: "Device", isOptional: true },
    ]}
    run={({ rule = "", severity = "", device_id }, key) =>
      command("/v1/commands/fleet/RaiseAlert", { alert_id: key, rule, severity, device_id: device_id || null }, key)
    }
  />
);
