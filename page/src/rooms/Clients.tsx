// Programs that ask for tokens of the tenant (OAuth), and what users let them do.

import { ask, client, command, type Row } from "../api";
import { text } from "../format";
import { Act } from "../parts/Act";
import { Notice, Status, Time } from "../parts/bits";
import { List } from "../parts/List";
import type { Column } from "../parts/Table";
import { may } from "../session";

type Client = Row<"/v1/clients">;
type Kind = "confidential" | "public";
type Consent = Row<"/v1/consents">;

const REASON = [{ name: "reason", label: "Why", isOptional: true }];
const KINDS = ["confidential: it can keep a secret", "public: it runs where anybody can read it"] as const;

const list = (said: string): string[] => said.split(/[\s,]+/).filter(Boolean);

const CLIENTS: readonly Column<Client>[] = [
  { title: "Program", cell: (one) => text(one.name) },
  { title: "Id", kind: "spare", cell: (one) => text(one.id) },
  { title: "Kind", kind: "spare", cell: (one) => text(one.kind) },
  { title: "Scopes", kind: "what spare", cell: (one) => (one.scopes ?? []).join(", ") },
  { title: "Sent back to", kind: "what spare", cell: (one) => text((one.redirect_uris ?? []).join(", ")) },
  { title: "Status", cell: (one) => <Status of={one.status} /> },
  { title: "What to do", kind: "acts", cell: (one) => may("identity:write") && one.status === "ACTIVE" && <ClientActs of={one} /> },
];

export const Clients = () => (
  <List
    id="clients"
    title="Programs that ask for tokens"
    path="/v1/clients"
    columns={CLIENTS}
    categories={["client"]}
    isShort
    more={
      may("identity:write") && (
        <div class="acts">
          <SigningKey />
          <Register />
        </div>
      )
    }
    empty={<Notice>No programs yet. Register one, and it asks for tokens by OAuth, for itself or for a user who allows it.</Notice>}
  />
);

const shown = (id: unknown, secret: unknown): string => [`client_id: ${id}`, ...(secret ? [`client_secret: ${secret}`] : [])].join("\n");

const SigningKey = () => (
  <Act
    label="New signing key"
    title="Sign tokens with a new key from now on"
    category="signing_key"
    run={async (_, key) => {
      const answer = await ask(client.POST("/v1/signing_keys", { params: { header: { "Idempotency-Key": key } } }));
      return answer.position?.token ?? null;
    }}
  >
    <p class="muted">Tokens that are out stay good until they end.</p>
  </Act>
);

const Register = () => (
  <Act
    label="Register"
    title="Register a program"
    category="client"
    kind="primary"
    fields={[
      { name: "name", label: "Name" },
      { name: "kind", label: "Kind", kind: "choice", values: KINDS },
      { name: "redirect_uris", label: "Where users are sent back to, one address a line", kind: "long", isOptional: true, placeholder: "https://reports.example/signed-in" },
      { name: "scopes", label: "Scopes, with commas between them", value: "devices:read" },
    ]}
    run={async ({ name = "", kind = "", redirect_uris = "", scopes = "" }) => {
      const said = { name, kind: kind.split(":")[0] as Kind, redirect_uris: list(redirect_uris), scopes: list(scopes) };
      const answer = await ask(client.POST("/v1/clients", { body: said }));
      return { position: answer.position ?? null, shown: shown(answer.client_id, answer.client_secret) };
    }}
  />
);

function ClientActs({ of }: { of: Client }) {
  const client_id = String(of.id);
  const secrets = (of["secrets"] ?? []) as string[];
  return (
    <>
      {of.kind === "confidential" &&
        (secrets.length > 1 ? (
          <Act
            label="End a secret"
            title={`Which secret of ${of.name} is good no more?`}
            category="client"
            fields={[{ name: "secret_id", label: "The first one is the older", kind: "choice", values: secrets }]}
            run={({ secret_id = "" }, key) => command("/v1/commands/identity/EndClientSecret", { client_id, secret_id }, key)}
          />
        ) : (
          <Act
            label="New secret"
            title={`Another secret for ${of.name}`}
            category="client"
            run={async () => {
              const answer = await ask(client.POST("/v1/clients/{client_id}/secrets", { params: { path: { client_id } } }));
              return { position: answer.position ?? null, shown: shown(client_id, answer.client_secret) };
            }}
          >
            <p class="muted">The one before stays good until you end it.</p>
          </Act>
        ))}
      <Act
        label="Revoke"
        title={`Revoke ${of.name}`}
        category="client"
        fields={REASON}
        run={({ reason = "" }, key) => command("/v1/commands/identity/RevokeClient", { client_id, reason }, key)}
      >
        <p class="muted">No token that it got is good any more.</p>
      </Act>
    </>
  );
}

const CONSENTS: readonly Column<Consent>[] = [
  { title: "User", cell: (one) => text(one.user_id) },
  { title: "Program", kind: "spare", cell: (one) => text(one.client_id) },
  { title: "Scopes", kind: "what", cell: (one) => (one.scopes ?? []).join(", ") },
  { title: "Status", cell: (one) => <Status of={one.status} /> },
  { title: "Given", kind: "number spare", cell: (one) => <Time at={one.given_at} /> },
  { title: "Ends", kind: "number spare", cell: (one) => <Time at={one.expires_at} /> },
  {
    title: "What to do",
    kind: "acts",
    cell: (one) =>
      may("identity:write") &&
      one.status !== "ENDED" && (
        <Act
          label="End"
          title={`${one.client_id} acts no more for ${one.user_id}`}
          category="consent"
          fields={REASON}
          run={({ reason = "" }, key) => command("/v1/commands/identity/EndConsent", { consent_id: String(one.id), reason }, key)}
        />
      ),
  },
];

export const Consents = () => (
  <List
    id="consents"
    title="What users let programs do"
    path="/v1/consents"
    columns={CONSENTS}
    categories={["consent"]}
    isShort
    limit={20}
    empty={<Notice>No user has let a program act for them.</Notice>}
  />
);
