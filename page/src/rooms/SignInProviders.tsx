// Through whom people of the tenant sign in (OpenID Connect), beside their passwords.

import { ask, client, command, type Row } from "../api";
import { text } from "../format";
import { Act } from "../parts/Act";
import { Notice, Status } from "../parts/bits";
import { List } from "../parts/List";
import type { Column } from "../parts/Table";
import { may, me } from "../session";

type Provider = Row<"/v1/sign_in_providers">;

const COLUMNS: readonly Column<Provider>[] = [
  { title: "Provider", cell: (one) => text(one.name) },
  { title: "Id", kind: "spare", cell: (one) => text(one.id) },
  { title: "Issuer", kind: "what", cell: (one) => text(one.issuer) },
  { title: "Client there", kind: "spare", cell: (one) => text(one.client_id) },
  { title: "Status", cell: (one) => <Status of={one.status} /> },
  {
    title: "What to do",
    kind: "acts",
    cell: (one) =>
      one.status === "ACTIVE" && (
        <>
          {may("*") && <Put label="Change" of={one} />}
          {may("identity:write") && (
            <Act
              label="Remove"
              title={`Nobody signs in through ${one.name} any more`}
              category="sign_in_provider"
              fields={[{ name: "reason", label: "Why", isOptional: true }]}
              run={({ reason = "" }, key) => command("/v1/commands/identity/RemoveSignInProvider", { provider_id: String(one.id), reason }, key)}
            >
              <p class="muted">Sessions that began through it go on until they end.</p>
            </Act>
          )}
        </>
      ),
  },
];

export const SignInProviders = () => (
  <List
    id="sign-in-providers"
    title="Through whom people sign in"
    path="/v1/sign_in_providers"
    columns={COLUMNS}
    categories={["sign_in_provider"]}
    isShort
    more={may("*") && <Put label="Add a provider" />}
    empty={<Notice>Through nobody: people sign in with their passwords.</Notice>}
  />
);

const Put = ({ label, of }: { label: string; of?: Provider }) => (
  <Act
    label={label}
    title={of ? `Change ${of.name}` : "Let people sign in through a provider"}
    category="sign_in_provider"
    fields={[
      ...(of ? [] : [{ name: "provider_id", label: "Id", placeholder: "keycloak" }]),
      { name: "name", label: "Name, as the form to sign in says it", value: String(of?.name ?? "") },
      { name: "issuer", label: "Issuer", value: String(of?.issuer ?? ""), placeholder: "https://id.example/realms/acme" },
      { name: "client_id", label: "What this server is called there (client id)", value: String(of?.client_id ?? "factline") },
      { name: "client_secret", label: "Its secret there", kind: "password" },
    ]}
    run={async ({ provider_id = String(of?.id ?? ""), name = "", issuer = "", client_id = "", client_secret = "" }, key) => {
      const body = { provider_id, name, issuer, client_id, client_secret };
      const answer = await ask(client.POST("/v1/sign_in_providers", { body, params: { header: { "Idempotency-Key": key } } }));
      return answer.position?.token ?? null;
    }}
  >
    <p class="muted">
      {`At the provider, people are sent back to ${location.origin}/v1/sign-in/${me.value?.tenant_id}/${of?.id ?? "<id>"}/callback`}
    </p>
  </Act>
);
