// Addresses that events are sent to: what went there, what did not, and what waits.

import { useRoute } from "preact-iso";

import OFFERED from "../../build/offered.json";
import { ask, client, command, type Json, type Row } from "../api";
import { count, text, words } from "../format";
import { Act, type Field } from "../parts/Act";
import { Card, Notice, Status, Time } from "../parts/bits";
import { EndlessTable } from "../parts/EndlessTable";
import { List } from "../parts/List";
import type { Column } from "../parts/Table";
import { Thing } from "../parts/Thing";
import { may } from "../session";

type Endpoint = Row<"/v1/webhook_endpoints">;
type Event = Row<"/v1/audit/search">;

const REASON: readonly Field[] = [{ name: "reason", label: "Why", isOptional: true }];
const MOST = 100;

const COLUMNS: readonly Column<Endpoint>[] = [
  { title: "Endpoint", cell: (endpoint) => text(endpoint.id) },
  { title: "Status", cell: (endpoint) => <Status of={standing(endpoint)} /> },
  { title: "Address", kind: "what spare", cell: (endpoint) => text(endpoint.url) },
  { title: "Delivered", kind: "number", cell: (endpoint) => count(Number(endpoint.delivered ?? 0)) },
  { title: "Given up", kind: "number", cell: (endpoint) => count(Number(endpoint.given_up ?? 0)) },
  { title: "Last time", kind: "number spare", cell: (endpoint) => <Time at={endpoint.delivered_at} /> },
];

/** One whose last attempt failed says so, before it has to be paused. */
const standing = (endpoint: Record<string, Json>): Json => (endpoint["status"] === "ACTIVE" && endpoint["failing_since"] ? "failing" : endpoint["status"]);

// whoever registers one hears what a live stream hears
const mayManage = (): boolean => may("integration:write") && may("live:read");

export const Webhooks = () => (
  <List
    id="webhooks"
    title="Webhooks that go out"
    path="/v1/webhook_endpoints"
    columns={COLUMNS}
    categories={["webhook_endpoint"]}
    isShort
    limit={MOST}
    to={(endpoint) => `/integrations/webhooks/${encodeURIComponent(String(endpoint.id))}`}
    more={mayManage() && <Register />}
    empty={<Notice>Nothing is sent out yet. Register an address, and events are sent there, signed, until they are taken.</Notice>}
  />
);

const list = (said: string): string[] => said.split(/\s+/).filter(Boolean);

const said = (of?: Record<string, Json>): readonly Field[] => [
  { name: "url", label: "Address", value: String(of?.["url"] ?? ""), placeholder: "https://shop.example/hooks" },
  { name: "types", label: "Events to send", kind: "several", values: OFFERED, value: ((of?.["types"] ?? []) as string[]).join(" ") },
];

const Register = () => (
  <Act
    label="Register an endpoint"
    category="webhook_endpoint"
    kind="primary"
    fields={[{ name: "endpoint_id", label: "Id", placeholder: "shop" }, ...said()]}
    run={async ({ endpoint_id = "", url = "", types = "" }) => {
      const answer = await ask(client.POST("/v1/webhook_endpoints", { body: { endpoint_id, url, types: list(types) } }));
      return { position: answer.position ?? null, shown: String(answer.secret) };
    }}
  >
    <p class="muted">You get the secret that each webhook is signed with. Give it to the system that takes them.</p>
  </Act>
);

export function WebhookRoom() {
  const id = useRoute().params["id"] ?? "";
  return (
    <Thing
      path="/v1/webhook_endpoints/{id}"
      id={id}
      category="webhook_endpoint"
      title={(endpoint) => `Webhooks to ${text(endpoint.id)}`}
      without={["version"]}
      acts={may("integration:write") ? (endpoint) => endpoint.status !== "REMOVED" && <Acts of={endpoint} id={id} /> : undefined}
    >
      {() => may("audit:read") && <Deliveries of={id} />}
    </Thing>
  );
}

function Acts({ of, id: endpoint_id }: { of: Record<string, Json>; id: string }) {
  const path = { endpoint_id };
  return (
    <>
      {Number(of["given_up"]) > 0 && (
        <Act
          label="Send again"
          title={`Send ${count(Number(of["given_up"]))} events again that were given up`}
          category="webhook_endpoint"
          kind="primary"
          run={(_, key) => command("/v1/commands/integration/RedriveWebhook", { endpoint_id }, key)}
        />
      )}
      {of["status"] === "PAUSED" ? (
        <Act
          label="Resume"
          title="Go on where it was paused"
          category="webhook_endpoint"
          kind="primary"
          run={(_, key) => command("/v1/commands/integration/ResumeWebhook", { endpoint_id }, key)}
        />
      ) : (
        <Act
          label="Pause"
          title="Send nothing until it is resumed"
          category="webhook_endpoint"
          fields={REASON}
          run={({ reason = "" }, key) => command("/v1/commands/integration/PauseWebhook", { endpoint_id, reason }, key)}
        >
          <p class="muted">What happens meanwhile is sent afterwards.</p>
        </Act>
      )}
      {mayManage() && (
        <>
          <Act
            label="Change"
            title="Change where events are sent, and which"
            category="webhook_endpoint"
            fields={said(of)}
            run={async ({ url = "", types = "" }) => {
              const answer = await ask(client.POST("/v1/webhook_endpoints/{endpoint_id}", { params: { path }, body: { url, types: list(types) } }));
              return answer.position ?? null;
            }}
          />
          <Act
            label="New secret"
            title="Sign with another secret from now on"
            category="webhook_endpoint"
            run={async () => {
              const answer = await ask(client.POST("/v1/webhook_endpoints/{endpoint_id}/secret", { params: { path } }));
              return { position: answer.position ?? null, shown: String(answer.secret) };
            }}
          >
            <p class="muted">The one before is forgotten at once.</p>
          </Act>
        </>
      )}
      <Act
        label="Remove"
        title="Send nothing there any more"
        category="webhook_endpoint"
        fields={REASON}
        run={({ reason = "" }, key) => command("/v1/commands/integration/RemoveWebhook", { endpoint_id, reason }, key)}
      >
        <p class="muted">Its secret is forgotten, and what waits is not sent.</p>
      </Act>
    </>
  );
}

const data = (event: Event): Record<string, Json> => (event["data"] ?? {}) as Record<string, Json>;

const DELIVERIES: readonly Column<Event>[] = [
  { title: "What", cell: (event) => <Status of={outcome(event)} /> },
  { title: "Events", kind: "number", cell: (event) => count(Number(data(event)["events"] ?? 0)) },
  { title: "Stopped at", kind: "spare", cell: (event) => text(data(event)["event_type"]) },
  { title: "Why", kind: "what", cell: (event) => text(data(event)["error"]) },
  { title: "Next attempt", kind: "number spare", cell: (event) => <Time at={data(event)["retry_at"]} /> },
  { title: "When", kind: "number", cell: (event) => <Time at={event.recorded_at} /> },
];

function outcome(event: Event): string {
  if (event.type === "webhook.failed") return data(event)["given_up"] ? "given up" : "failed";
  return words(String(event.type).slice("webhook.".length));
}

const Deliveries = ({ of }: { of: string }) => (
  <Card id="deliveries" title="Deliveries">
    <EndlessTable
      id="deliveries"
      question={{
        path: "/v1/audit/search",
        name: of,
        // the API finds all streams that begin so
        isMeant: (event) => event.stream === `webhook_endpoint-${of}`,
        query: () => ({ stream: `webhook_endpoint-${of}`, types: "webhook.delivered,webhook.failed,webhook.redriven", start: "1970-01-01", limit: 50 }),
      }}
      columns={DELIVERIES}
      categories={["webhook_endpoint"]}
      keyOf={(event) => String(event.event_id)}
      isLasting={false}
      empty={<Notice>Nothing was sent yet. It begins with the next event of one of these types.</Notice>}
    />
  </Card>
);
