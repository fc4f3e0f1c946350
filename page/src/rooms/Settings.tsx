// Who may do what: users, API keys and sessions of the tenant, and how much was asked.

import { ask, client, command, table, type Row } from "../api";
import { useAnswer } from "../ask";
import { count, duration, text } from "../format";
import { Act } from "../parts/Act";
import { Answered, Card, Notice, Status, Time, Top } from "../parts/bits";
import { List } from "../parts/List";
import { Table, type Column } from "../parts/Table";
import { may, me } from "../session";

type User = Row<"/v1/users">;
type Usage = Row<"/v1/usage">;
type Session = Row<"/v1/sessions">;

const ROLES = ["USER", "VIEWER", "AUDITOR", "ADMIN", "OWNER"] as const;
type Role = (typeof ROLES)[number];
const REASON = [{ name: "reason", label: "Why", isOptional: true }];

const USERS: readonly Column<User>[] = [
  { title: "User", cell: (user) => text(user.id) },
  { title: "E-mail", kind: "spare", cell: (user) => text(user.email) },
  { title: "Roles", cell: (user) => (user.roles ?? []).join(", ") },
  { title: "Status", cell: (user) => <Status of={user.status} /> },
  { title: "Joined", kind: "number spare", cell: (user) => <Time at={user["joined_at"]} /> },
  { title: "What to do", kind: "acts", cell: (user) => may("identity:write") && <UserActs of={user} /> },
];

const SESSIONS: readonly Column<Session>[] = [
  { title: "User", cell: (session) => text(session.user_id) },
  { title: "Status", cell: (session) => <Status of={session.status} /> },
  { title: "Began", kind: "number", cell: (session) => <Time at={session.started_at} /> },
  { title: "Ends", kind: "number", cell: (session) => <Time at={session.expires_at} /> },
];

export function Settings() {
  return (
    <>
      <Top title="Settings" />
      {may("users:read") && (
        <List
          id="users"
          title="Users"
          path="/v1/users"
          columns={USERS}
          categories={["user"]}
          isShort
          more={may("identity:write") && <Invite />}
          empty={<Notice>No users yet. Invite one.</Notice>}
        />
      )}
      <Keys />
      {may("users:read") && (
        <List
          id="sessions"
          title="Sessions"
          path="/v1/sessions"
          columns={SESSIONS}
          categories={["session"]}
          isShort
          limit={20}
          empty={<Notice>Nobody signed in yet.</Notice>}
        />
      )}
    </>
  );
}

const Invite = () => (
  <Act
    label="Invite"
    title="Invite a user"
    category="user"
    kind="primary"
    fields={[
      { name: "user_id", label: "Name to sign in with" },
      { name: "email", label: "E-mail" },
      { name: "role", label: "Role", kind: "choice", values: ROLES },
    ]}
    run={async ({ user_id = "", email = "", role }) => {
      const answer = await ask(client.POST("/v1/invitations", { body: { user_id, email, roles: [role as Role] } }));
      return { position: answer.position ?? null, shown: String(answer.token) };
    }}
  >
    <p class="muted">You get a token. Hand it on: with it they set their password under “New password” of the form to sign in.</p>
  </Act>
);

function UserActs({ of }: { of: User }) {
  const user_id = String(of.id);
  if (of.status === "INVITED") {
    return (
      <Act label="Withdraw" category="user" fields={REASON} run={({ reason = "" }, key) => command("/v1/commands/identity/WithdrawInvitation", { user_id, reason }, key)} />
    );
  }
  if (of.status !== "ACTIVE") return null;
  return (
    <>
      <Act
        label="Change role"
        category="user"
        fields={[{ name: "role", label: "Role", kind: "choice", values: ROLES, value: String(of.roles?.[0] ?? "USER") }]}
        run={({ role }, key) => command("/v1/commands/identity/ChangeUserRole", { user_id, roles: [role as Role] }, key)}
      />
      <Act
        label="New password"
        title={`A token for a new password of ${user_id}`}
        category="user"
        run={async () => {
          const answer = await ask(client.POST("/v1/users/{user_id}/password-token", { params: { path: { user_id } } }));
          return { position: answer.position ?? null, shown: String(answer.token) };
        }}
      />
      <Act label="Disable" category="user" fields={REASON} run={({ reason = "" }, key) => command("/v1/commands/identity/DisableUser", { user_id, reason }, key)} />
    </>
  );
}

const USAGE: readonly Column<Usage>[] = [
  { title: "Key or user", cell: (usage) => text(usage.key) },
  { title: "Requests", kind: "number", cell: (usage) => count(usage.requests ?? 0) },
  { title: "Refused", kind: "number", cell: (usage) => count(usage.refused ?? 0) },
  { title: "Failed", kind: "number spare", cell: (usage) => count(usage.failed ?? 0) },
  { title: "Time", kind: "number spare", cell: (usage) => duration(usage.ms) },
];

function Keys() {
  const load = async (): Promise<readonly Usage[]> => (may("usage:read") ? (await table("/v1/usage", { by: "key", start: "-7d" })).rows : []);
  const answer = useAnswer(load, [], ["api_key"]);
  const acts = may("identity:write") && (
    <div class="acts">
      <Act
        label="Issue a key"
        category="api_key"
        kind="primary"
        fields={[
          { name: "name", label: "What it is for" },
          { name: "scopes", label: "Scopes, with commas between them", value: "devices:read" },
        ]}
        run={async ({ name = "", scopes = "" }) => {
          const body = { name, scopes: scopes.split(",").map((scope) => scope.trim()) };
          const answer = await ask(client.POST("/v1/keys", { body }));
          return { position: answer.position ?? null, shown: String(answer.api_key) };
        }}
      />
      <Act
        label="Revoke a key"
        category="api_key"
        fields={[{ name: "key_id", label: "Its id, what stands between ak_ and .sk_" }, ...REASON]}
        run={({ key_id = "", reason = "" }, key) => command("/v1/commands/identity/RevokeApiKey", { key_id, reason }, key)}
      />
    </div>
  );
  return (
    <Card id="keys" title="API keys of the last seven days" more={acts}>
      <p class="notice">{`You are ${me.value?.actor?.type} ${me.value?.actor?.id}, with ${(me.value?.roles ?? []).join(", ") || (me.value?.scopes ?? []).join(", ")}.`}</p>
      <Answered answer={answer}>
        {(rows) => (rows.length ? <Table columns={USAGE} rows={rows} keyOf={(usage) => String(usage.key)} /> : <Notice>Nothing was asked yet.</Notice>)}
      </Answered>
    </Card>
  );
}
