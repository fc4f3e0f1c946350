// Keys of the tenant's own, keys of outside providers, and who else says who somebody is.

import { ask, client, command, table, type Row } from "../api";
import { useAnswer } from "../ask";
import { count, duration, text } from "../format";
import { Act } from "../parts/Act";
import { Answered, Card, Notice, Status, Time } from "../parts/bits";
import { List } from "../parts/List";
import { Table, type Column } from "../parts/Table";
import { may, me } from "../session";

type Usage = Row<"/v1/usage">;
type ApiKey = Row<"/v1/keys">;
type ProviderKey = Row<"/v1/provider_keys">;
type Issuer = Row<"/v1/issuers">;

const REASON = [{ name: "reason", label: "Why", isOptional: true }];

const list = (said: string): string[] =>
  said
    .split(",")
    .map((one) => one.trim())
    .filter(Boolean);

const USAGE: readonly Column<Usage>[] = [
  { title: "Key or user", cell: (usage) => text(usage.key) },
  { title: "Requests", kind: "number", cell: (usage) => count(usage.requests ?? 0) },
  { title: "Refused", kind: "number", cell: (usage) => count(usage.refused ?? 0) },
  { title: "Failed", kind: "number spare", cell: (usage) => count(usage.failed ?? 0) },
  { title: "Time", kind: "number spare", cell: (usage) => duration(usage.ms) },
];

const Made = () => (
  <Act
    label="Issue a key"
    category="api_key"
    kind="primary"
    fields={[
      { name: "name", label: "What it is for" },
      { name: "scopes", label: "Scopes, with commas between them", value: "devices:read" },
    ]}
    run={async ({ name = "", scopes = "" }) => {
      const body = { name, scopes: list(scopes) };
      const answer = await ask(client.POST("/v1/keys", { body }));
      return { position: answer.position ?? null, shown: String(answer.api_key) };
    }}
  />
);

const KEYS: readonly Column<ApiKey>[] = [
  { title: "Id", cell: (key) => text(key.id) },
  { title: "For", kind: "what", cell: (key) => text(key.name) },
  { title: "Scopes", kind: "what spare", cell: (key) => (key.scopes ?? []).join(", ") },
  { title: "Status", cell: (key) => <Status of={key.status} /> },
  { title: "Issued", kind: "number spare", cell: (key) => <Time at={key.issued_at} /> },
  {
    title: "What to do",
    kind: "acts",
    cell: (key) =>
      may("identity:write") &&
      key.status === "ACTIVE" && (
        <Act
          label="Revoke"
          title={`Revoke ${key.name || key.id}`}
          category="api_key"
          fields={REASON}
          run={({ reason = "" }, idempotency) => command("/v1/commands/identity/RevokeApiKey", { key_id: String(key.id), reason }, idempotency)}
        />
      ),
  },
];

export const Keys = () => (
  <List
    id="keys"
    title="API keys"
    path="/v1/keys"
    columns={KEYS}
    categories={["api_key"]}
    isShort
    more={may("identity:write") && <Made />}
    empty={<Notice>No keys yet. Issue one for each program that asks or sends.</Notice>}
  />
);

export function KeyUsage() {
  const answer = useAnswer(async (): Promise<readonly Usage[]> => (await table("/v1/usage", { by: "key", start: "-7d" })).rows, [], []);
  return (
    <Card id="usage" title="Requests of the last seven days">
      <p class="notice">{`You are ${me.value?.actor?.type} ${me.value?.actor?.id}, with ${(me.value?.roles ?? []).join(", ") || (me.value?.scopes ?? []).join(", ")}.`}</p>
      <Answered answer={answer}>
        {(rows) => (rows.length ? <Table columns={USAGE} rows={rows} keyOf={(usage) => String(usage.key)} /> : <Notice>Nothing was asked yet.</Notice>)}
      </Answered>
    </Card>
  );
}

const PROVIDER_KEYS: readonly Column<ProviderKey>[] = [
  { title: "Id", cell: (key) => text(key.id) },
  { title: "Provider", cell: (key) => text(key.provider) },
  { title: "Begins with", kind: "spare", cell: (key) => text(key.prefix) },
  { title: "For tasks of", kind: "what spare", cell: (key) => (key.kinds ?? []).join(", ") },
  { title: "Status", cell: (key) => <Status of={key.status} /> },
  { title: "What to do", kind: "acts", cell: (key) => may("automation:write") && key.status === "ACTIVE" && <ProviderKeyActs of={key} /> },
];

export const ProviderKeys = () => (
  <List
    id="provider-keys"
    title="Keys of providers"
    path="/v1/provider_keys"
    columns={PROVIDER_KEYS}
    categories={["provider_key"]}
    isShort
    more={may("automation:write") && <KeepKey />}
    empty={<Notice>None yet. Keep one, and tasks of its kinds are done with it; nobody is shown it again.</Notice>}
  />
);

const KeepKey = () => (
  <Act
    label="Keep a key"
    title="Keep a key of a provider"
    category="provider_key"
    kind="primary"
    fields={[
      { name: "key_id", label: "Id" },
      { name: "provider", label: "Provider" },
      { name: "kinds", label: "For tasks of these kinds, with commas between them", value: "chat.complete" },
      { name: "base_url", label: "Address (left out: the usual one)", isOptional: true },
      { name: "secret", label: "The key", kind: "password" },
    ]}
    run={async ({ key_id = "", provider = "", kinds = "", base_url, secret = "" }) => {
      const body = { key_id, provider, kinds: list(kinds), base_url: base_url || null, secret };
      return (await ask(client.POST("/v1/secrets", { body }))).position?.token ?? null;
    }}
  />
);

function ProviderKeyActs({ of }: { of: ProviderKey }) {
  const key_id = String(of.id);
  return (
    <>
      <Act
        label="Replace"
        title={`Put another key in the place of ${key_id}`}
        category="provider_key"
        fields={[{ name: "secret", label: "The new key", kind: "password" }]}
        run={async ({ secret = "" }) =>
          (await ask(client.POST("/v1/secrets/{key_id}", { params: { path: { key_id } }, body: { secret } }))).position?.token ?? null
        }
      />
      <Act label="Revoke" category="provider_key" fields={REASON} run={({ reason = "" }, key) => command("/v1/commands/automation/RevokeProviderKey", { key_id, reason }, key)} />
    </>
  );
}

const ISSUERS: readonly Column<Issuer>[] = [
  { title: "Id", cell: (issuer) => text(issuer.id) },
  { title: "Issuer", kind: "what", cell: (issuer) => text(issuer.issuer) },
  { title: "Audiences", kind: "spare", cell: (issuer) => (issuer.audiences ?? []).join(", ") },
  { title: "Status", cell: (issuer) => <Status of={issuer.status} /> },
  {
    title: "What to do",
    kind: "acts",
    cell: (issuer) =>
      may("identity:write") &&
      issuer.status === "TRUSTED" && (
        <Act
          label="Distrust"
          title={`Take no more tokens of ${issuer.id}`}
          category="issuer"
          fields={REASON}
          run={({ reason = "" }, key) => command("/v1/commands/identity/DistrustIssuer", { issuer_id: String(issuer.id), reason }, key)}
        />
      ),
  },
];

export const Issuers = () => (
  <List
    id="issuers"
    title="Whose tokens count"
    path="/v1/issuers"
    columns={ISSUERS}
    categories={["issuer"]}
    isShort
    more={may("identity:write") && <Trust />}
    empty={<Notice>Nobody's but our own. Trust an issuer of OpenID Connect, and its tokens are taken.</Notice>}
  />
);

const Trust = () => (
  <Act
    label="Trust"
    title="Trust an issuer"
    category="issuer"
    fields={[
      { name: "issuer_id", label: "Id" },
      { name: "issuer", label: "Issuer, as its tokens say it", placeholder: "https://id.example/realms/acme" },
      { name: "audiences", label: "Audiences, with commas between them", value: "factline" },
      { name: "jwks_uri", label: "Where its keys are", placeholder: "https://id.example/realms/acme/certs" },
    ]}
    run={({ issuer_id = "", issuer = "", audiences = "", jwks_uri = "" }, key) =>
      command("/v1/commands/identity/TrustIssuer", { issuer_id, issuer, audiences: list(audiences), jwks_uri }, key)
    }
  />
);
