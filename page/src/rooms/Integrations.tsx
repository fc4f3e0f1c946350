// What goes out to other systems, and what comes in from them.

import type { Row } from "../api";
import { text } from "../format";
import { Notice, Time, Top } from "../parts/bits";
import { List } from "../parts/List";
import type { Column } from "../parts/Table";
import { Thing } from "../parts/Thing";
import { may } from "../session";
import { useRoute } from "preact-iso";
import { Connectors } from "./Connectors";
import { Webhooks } from "./Webhooks";

type Change = Row<"/v1/received_changes">;

const OPS: Readonly<Record<string, string>> = { c: "created", r: "read", u: "updated", d: "deleted", t: "emptied", m: "message" };

const CHANGES: readonly Column<Change>[] = [
  { title: "Record", cell: (change) => text([change.table, change.key].filter(Boolean).join(" ") || change.source_event_type) },
  { title: "Last", cell: (change) => OPS[String(change.op)] ?? "unknown" },
  { title: "Connector", cell: (change) => text(change.connector_id) },
  { title: "Database", kind: "spare", cell: (change) => text([change.database, change.schema_name].filter(Boolean).join(".")) },
  { title: "Times", kind: "number spare", cell: (change) => text(change.version) },
  { title: "Received", sort: "received_at", kind: "number", cell: (change) => <Time at={change.received_at} /> },
];

export function Integrations() {
  return (
    <>
      <Top title="Integrations" />
      {may("webhook_endpoints:read") && <Webhooks />}
      {may("connectors:read") && <Connectors />}
      {may("received_changes:read") && (
        <List
          id="changes"
          title="What came in"
          path="/v1/received_changes"
          columns={CHANGES}
          categories={["change"]}
          filters={{ connector_id: "Connector", table: "Table", op: "Last" }}
          hasWords
          to={toChange}
          empty={<Notice>Nothing came in yet. Register a connector, and give its address and its secret to the system that sends.</Notice>}
        />
      )}
    </>
  );
}

const toChange = (change: Change): string => `/integrations/changes/${encodeURIComponent(String(change.id))}`;

/** The newest changes that one connector brought. */
export const ChangesOf = ({ connector }: { connector: string }) => (
  <List
    id="changes"
    title="What came in last"
    path="/v1/received_changes"
    columns={CHANGES}
    categories={["change"]}
    query={{ connector_id: [connector] }}
    isShort
    limit={50}
    to={toChange}
    empty={<Notice>Nothing came in yet.</Notice>}
  />
);

export function ChangeRoom() {
  const id = useRoute().params["id"] ?? "";
  return (
    <Thing path="/v1/received_changes/{id}" id={id} category="change" title={(change) => text([change["table"], change["key"]].filter(Boolean).join(" ") || id)}>
      {() => <Notice>What the record said each time stands in its history.</Notice>}
    </Thing>
  );
}
