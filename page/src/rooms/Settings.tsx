// Who may do what: users, sessions and keys of the tenant.

import { ask, client, command, type Row } from "../api";
import { text } from "../format";
import { Act } from "../parts/Act";
import { Notice, Status, Time, Top } from "../parts/bits";
import { List } from "../parts/List";
import type { Column } from "../parts/Table";
import { may } from "../session";
import { Clients, Consents } from "./Clients";
import { Issuers, Keys, KeyUsage, ProviderKeys } from "./Keys";
import { SignInProviders } from "./SignInProviders";

type User = Row<"/v1/users">;
type Session = Row<"/v1/sessions">;

const ROLES = ["USER", "VIEWER", "AUDITOR", "ADMIN", "OWNER"] as const;
type Role = (typeof ROLES)[number];
const REASON = [{ name: "reason", label: "Why", isOptional: true }];

const USERS: readonly Column<User>[] = [
  { title: "User", cell: (user) => text(user.id) },
  { title: "E-mail", kind: "spare", cell: (user) => text(user.email) },
  { title: "Roles", cell: (user) => (user.roles ?? []).join(", ") },
  { title: "Status", cell: (user) => <Status of={user.status} /> },
  { title: "Signs in through", kind: "spare", cell: (user) => text(user["linked_provider"]) },
  { title: "Joined", kind: "number spare", cell: (user) => <Time at={user["joined_at"]} /> },
  { title: "What to do", kind: "acts", cell: (user) => may("identity:write") && <UserActs of={user} /> },
];

const SESSIONS: readonly Column<Session>[] = [
  { title: "User", cell: (session) => text(session.user_id) },
  { title: "Status", cell: (session) => <Status of={session.status} /> },
  { title: "Began", kind: "number", cell: (session) => <Time at={session.started_at} /> },
  { title: "Ends", kind: "number", cell: (session) => <Time at={session.expires_at} /> },
  {
    title: "What to do",
    kind: "acts",
    cell: (session) =>
      may("identity:write") &&
      session.status === "STARTED" && (
        <Act
          label="End"
          title={`End this session of ${session.user_id}`}
          category="session"
          fields={REASON}
          run={({ reason = "" }, key) => command("/v1/commands/identity/EndSession", { session_id: String(session.id), reason }, key)}
        />
      ),
  },
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
      {may("keys:read") && <Keys />}
      {may("usage:read") && <KeyUsage />}
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
      {may("clients:read") && <Clients />}
      {may("users:read") && <Consents />}
      {may("provider_keys:read") && <ProviderKeys />}
      {may("issuers:read") && <Issuers />}
      {may("issuers:read") && <SignInProviders />}
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
      {Boolean(of["linked_provider"]) && (
        <Act
          label="Unlink"
          title={`${user_id} is not who they are at ${of["linked_provider"]} any more`}
          category="user"
          fields={REASON}
          run={({ reason = "" }, key) => command("/v1/commands/identity/UnlinkIdentity", { user_id, reason }, key)}
        />
      )}
      <Act label="Disable" category="user" fields={REASON} run={({ reason = "" }, key) => command("/v1/commands/identity/DisableUser", { user_id, reason }, key)} />
    </>
  );
}
