// Systems outside that send their webhooks here, or the changes of their databases' rows.

import { useRoute } from "preact-iso";

import { ask, client, command, type Json, type Row } from "../api";
import { count, text } from "../format";
import { Act, type Field, type Values } from "../parts/Act";
import { Card, Notice, Status, Time } from "../parts/bits";
import { EndlessTable } from "../parts/EndlessTable";
import { List } from "../parts/List";
import type { Column } from "../parts/Table";
import { Thing } from "../parts/Thing";
import { may, me } from "../session";
import { ChangesOf } from "./Integrations";

type Connector = Row<"/v1/connectors">;
type Event = Row<"/v1/audit/search">;
type Format = "webhook" | "debezium";

const REASON: readonly Field[] = [{ name: "reason", label: "Why", isOptional: true }];
const PERSONAL: readonly Field[] = [
  { name: "personal_fields", label: "Names of personal fields, with blanks between them", placeholder: "email name", isOptional: true },
  { name: "person_field", label: "Field that says whose they are", placeholder: "customer_id", isOptional: true },
];
const FORMATS = ["webhook: one message, any JSON", "debezium: changes of a database's rows"] as const;
const MOST = 100;

const COLUMNS: readonly Column<Connector>[] = [
  { title: "Connector", cell: (connector) => text(connector.id) },
  { title: "Status", cell: (connector) => <Status of={connector.status} /> },
  { title: "System", cell: (connector) => text(connector.tool_type) },
  { title: "Sends", kind: "spare", cell: (connector) => text(connector.format) },
  { title: "Refused", kind: "number", cell: (connector) => count(Number(connector.refused ?? 0)) },
  { title: "Refused last", kind: "number spare", cell: (connector) => <Time at={connector.refused_at} /> },
];

export const Connectors = () => (
  <List
    id="connectors"
    title="Connectors: systems that send"
    path="/v1/connectors"
    columns={COLUMNS}
    categories={["connector"]}
    isShort
    limit={MOST}
    to={(connector) => `/integrations/connectors/${encodeURIComponent(String(connector.id))}`}
    more={may("integration:write") && <Register />}
    empty={<Notice>No connectors yet. Register one for each system that is to send its webhooks, or the changes of its database.</Notice>}
  />
);

const personal = ({ personal_fields = "", person_field = "" }: Values) => ({
  personal_fields: personal_fields.split(/\s+/).filter(Boolean),
  person_field: person_field || null,
});

const shown = (address: unknown, secret: unknown): string => `address: ${location.origin}${address}\nsecret: ${secret}`;

const Register = () => (
  <Act
    label="Register a connector"
    category="connector"
    kind="primary"
    fields={[
      { name: "connector_id", label: "Id", placeholder: "crm" },
      { name: "tool_type", label: "What the system is", placeholder: "postgresql" },
      { name: "format", label: "What it sends", kind: "choice", values: FORMATS },
      ...PERSONAL,
    ]}
    run={async (values) => {
      const { connector_id = "", tool_type = "", format = "" } = values;
      const body = { connector_id, tool_type, format: format.split(":")[0] as Format, ...personal(values) };
      const answer = await ask(client.POST("/v1/connectors", { body }));
      return { position: answer.position ?? null, shown: shown(answer.address, answer.secret) };
    }}
  >
    <p class="muted">You get the address to send to, and the secret to sign with, or to show. What personal fields say is sealed.</p>
  </Act>
);

export function ConnectorRoom() {
  const id = useRoute().params["id"] ?? "";
  return (
    <Thing
      path="/v1/connectors/{id}"
      id={id}
      category="connector"
      title={(connector) => `What ${text(connector.id)} sends`}
      without={["version"]}
      acts={may("integration:write") ? (connector) => connector.status !== "REMOVED" && <Acts of={connector} id={id} /> : undefined}
    >
      {(connector) => (
        <>
          {connector.status !== "REMOVED" && <How id={id} />}
          {may("received_changes:read") && <ChangesOf connector={id} />}
          {may("audit:read") && <Refused of={id} />}
        </>
      )}
    </Thing>
  );
}

const How = ({ id }: { id: string }) => (
  <Card id="how" title="How the system sends">
    <p class="notice">It sends JSON with POST to this address, signed as Standard Webhooks say, or with the secret after “Authorization: Bearer”.</p>
    <pre tabIndex={0} aria-label="Where to send">{`${location.origin}/v1/connectors/${me.value?.tenant_id}.${id}/events`}</pre>
  </Card>
);

function Acts({ of, id: connector_id }: { of: Record<string, Json>; id: string }) {
  return (
    <>
      {of["status"] === "PAUSED" ? (
        <Act
          label="Resume"
          title="Take again what comes"
          category="connector"
          kind="primary"
          fields={REASON}
          run={({ reason = "" }, key) => command("/v1/commands/integration/ResumeConnector", { connector_id, reason }, key)}
        />
      ) : (
        <Act
          label="Pause"
          title="Take nothing until it is resumed"
          category="connector"
          fields={REASON}
          run={({ reason = "" }, key) => command("/v1/commands/integration/PauseConnector", { connector_id, reason }, key)}
        >
          <p class="muted">The system is told to come again, so that it keeps what it has.</p>
        </Act>
      )}
      <Act
        label="Personal fields"
        title="Seal what these fields say from now on"
        category="connector"
        fields={PERSONAL.map((field) => ({ ...field, value: [of[field.name] ?? ""].flat().join(" ") }))}
        run={(values, key) => command("/v1/commands/integration/NamePersonalFields", { connector_id, ...personal(values) }, key)}
      >
        <p class="muted">These take the place of those that were named before. What is recorded already stays as it is.</p>
      </Act>
      <Act
        label="New secret"
        title="Take what comes with another secret from now on"
        category="connector"
        run={async () => {
          const answer = await ask(client.POST("/v1/connectors/{connector_id}/secret", { params: { path: { connector_id } } }));
          return { position: answer.position ?? null, shown: shown(answer.address, answer.secret) };
        }}
      >
        <p class="muted">The one before is forgotten at once.</p>
      </Act>
      <Act
        label="Remove"
        title="Take nothing from there any more"
        category="connector"
        fields={REASON}
        run={({ reason = "" }, key) => command("/v1/commands/integration/RemoveConnector", { connector_id, reason }, key)}
      >
        <p class="muted">Its secret is forgotten. What came in stays.</p>
      </Act>
    </>
  );
}

const data = (event: Event): Record<string, Json> => (event["data"] ?? {}) as Record<string, Json>;

const REFUSED: readonly Column<Event>[] = [
  { title: "When", cell: (event) => <Time at={event.recorded_at} /> },
  { title: "Refused", kind: "number", cell: (event) => count(Number(data(event)["count"] ?? 0)) },
  { title: "Why the first", kind: "what", cell: (event) => text(data(event)["reason"]) },
];

const Refused = ({ of }: { of: string }) => (
  <Card id="refused" title="What was refused">
    <EndlessTable
      id="refused"
      question={{
        path: "/v1/audit/search",
        name: of,
        // the API finds all streams that begin so
        isMeant: (event) => event.stream === `connector-${of}`,
        query: () => ({ stream: `connector-${of}`, types: "connector.changes.refused", start: "1970-01-01", limit: 50 }),
      }}
      columns={REFUSED}
      categories={["connector"]}
      keyOf={(event) => String(event.event_id)}
      isLasting={false}
      empty={<Notice>All that it sent was taken.</Notice>}
    />
  </Card>
);
