// The tenants of this deployment, for its operator.

import { ask, client } from "../api";
import { useAnswer } from "../ask";
import { text, words } from "../format";
import { Act } from "../parts/Act";
import { Answered, Card, Notice, Status } from "../parts/bits";
import { Table, type Column } from "../parts/Table";

const tenants = () => ask(client.GET("/v1/tenants"));

type Tenant = NonNullable<NonNullable<Awaited<ReturnType<typeof tenants>>["rows"]>[number]>;

const COLUMNS: readonly Column<Tenant>[] = [
  { title: "Tenant", cell: (tenant) => text(tenant.tenant_id) },
  { title: "Status", cell: (tenant) => <Status of={tenant.status} /> },
  { title: "What to do", kind: "acts", cell: (tenant) => <Acts of={tenant} /> },
];

export function Tenants() {
  const answer = useAnswer(tenants, [], ["tenant"]);
  return (
    <Card id="tenants" title="Tenants" more={<Register />}>
      <Answered answer={answer}>
        {({ rows }) =>
          rows?.length ? (
            <Table columns={COLUMNS} rows={rows as Tenant[]} keyOf={(tenant) => String(tenant.tenant_id)} />
          ) : (
            <Notice>No tenants yet. Register one: you get its first key.</Notice>
          )
        }
      </Answered>
    </Card>
  );
}

const Register = () => (
  <Act
    label="Register"
    title="Register a tenant"
    category="tenant"
    kind="primary"
    fields={[
      { name: "tenant_id", label: "Id, of small letters, digits and dashes" },
      { name: "name", label: "Name" },
    ]}
    run={async ({ tenant_id = "", name = "" }) => {
      const answer = await ask(client.POST("/v1/tenants", { body: { tenant_id, name } }));
      return { position: answer.position ?? null, shown: String(answer.api_key) };
    }}
  />
);

const QUOTA = ["requests_per_minute", "requests_per_hour", "requests_per_day", "events_per_day", "facts_per_day", "live_streams"] as const;

function Acts({ of }: { of: Tenant }) {
  const tenant_id = String(of.tenant_id);
  const path = { path: { tenant_id } };
  if (of.status === "SUSPENDED") {
    return (
      <Act
        label="Reactivate"
        title={`The keys of ${tenant_id} work again`}
        category="tenant"
        fields={[{ name: "reason", label: "Why", isOptional: true }]}
        run={async ({ reason = "" }) => {
          await ask(client.POST("/v1/tenants/{tenant_id}/reactivate", { params: path, body: { reason } }));
          return null;
        }}
      />
    );
  }
  if (of.status !== "ACTIVE") return null;
  return (
    <>
      <Act
        label="One more key"
        title={`One more key of ${tenant_id}`}
        category="tenant"
        fields={[{ name: "name", label: "What it is for", value: "from the operator" }]}
        run={async ({ name = "" }) => {
          const answer = await ask(client.POST("/v1/tenants/{tenant_id}/keys", { params: path, body: { name } }));
          return { position: answer.position ?? null, shown: String(answer.api_key) };
        }}
      />
      <Act
        label="Quota"
        title={`How much ${tenant_id} may do`}
        category="tenant"
        fields={QUOTA.map((name) => ({ name, label: words(name).replace(/^./, (letter) => letter.toUpperCase()), kind: "number", isOptional: true }))}
        run={async (said) => {
          const body = Object.fromEntries(QUOTA.map((name) => [name, said[name] ? Number(said[name]) : null]));
          await ask(client.POST("/v1/tenants/{tenant_id}/quota", { params: path, body }));
          return null;
        }}
      >
        <p class="muted">It takes the place of what was set before; what is left out has no limit.</p>
      </Act>
      <Act
        label="Suspend"
        title={`No key of ${tenant_id} does anything`}
        category="tenant"
        fields={[{ name: "reason", label: "Why", isOptional: true }]}
        run={async ({ reason = "" }) => {
          await ask(client.POST("/v1/tenants/{tenant_id}/suspend", { params: path, body: { reason } }));
          return null;
        }}
      />
    </>
  );
}
