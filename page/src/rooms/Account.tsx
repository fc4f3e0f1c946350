// One's own: who one is here, how one signs in, and what one has let programs do.

import { useState } from "preact/hooks";

import { command, table, type Row } from "../api";
import { useAnswer } from "../ask";
import { text } from "../format";
import { now } from "../news";
import { Act } from "../parts/Act";
import { Answered, Card, Facts, Failure, Notice, Status, Time, Top } from "../parts/bits";
import { List } from "../parts/List";
import type { Column } from "../parts/Table";
import { linked, may, me, providersOf, signInThrough } from "../session";

type Session = Row<"/v1/sessions">;
type Consent = Row<"/v1/consents">;

const REASON = [{ name: "reason", label: "Why", isOptional: true }];
const CREDENTIALS: Readonly<Record<string, string>> = { session: "a session of this browser", api_key: "an API key, in this tab only" };

const mayEnd = (): boolean => may("identity:write", "identity:own");
const isOver = (at: unknown): boolean => typeof at === "string" && Date.parse(at) <= now.value;

export function Account() {
  const isUser = me.value?.actor?.type === "user";
  const id = String(me.value?.actor?.id);
  return (
    <>
      <Top title="Account" />
      <Card id="who" title="Who you are here">
        <Facts
          of={[
            ["Name", id],
            ["Tenant", text(me.value?.tenant_id)],
            ["Signed in with", CREDENTIALS[String(me.value?.credential?.type)] ?? text(me.value?.credential?.type)],
            ["May what these may", (me.value?.roles ?? []).join(", ") || (me.value?.scopes ?? []).join(", ")],
          ]}
        />
      </Card>
      {me.value?.credential?.type === "session" && <SignIns id={id} />}
      {isUser && may("users:read", "users:own") && (
        <>
          <List
            id="sessions"
            title="Your sessions"
            path="/v1/sessions"
            columns={SESSIONS}
            categories={["session"]}
            query={{ user_id: [id] }}
            isShort
            limit={20}
            empty={<Notice>No session of yours is known.</Notice>}
          />
          <List
            id="consents"
            title="What you let programs do"
            path="/v1/consents"
            columns={CONSENTS}
            categories={["consent"]}
            query={{ user_id: [id] }}
            isShort
            limit={20}
            empty={<Notice>You have let no program act for you. One that wants to asks you on a page of this server.</Notice>}
          />
        </>
      )}
    </>
  );
}

const SESSIONS: readonly Column<Session>[] = [
  { title: "Session", cell: (session) => (session.id === me.value?.credential?.id ? "this one" : String(session.id).slice(0, 8)) },
  { title: "Status", cell: (session) => <Status of={session.status !== "ENDED" && isOver(session.expires_at) ? "over" : session.status} /> },
  { title: "Began", kind: "number", cell: (session) => <Time at={session.started_at} /> },
  { title: "Ends", kind: "number spare", cell: (session) => <Time at={session.expires_at} /> },
  {
    title: "What to do",
    kind: "acts",
    cell: (session) =>
      mayEnd() &&
      session.status === "STARTED" &&
      !isOver(session.expires_at) &&
      // whoever ends this one signs out
      session.id !== me.value?.credential?.id && (
        <Act
          label="End"
          title="Nobody asks with this session any more"
          category="session"
          fields={REASON}
          run={({ reason = "" }, key) => command("/v1/commands/identity/EndSession", { session_id: String(session.id), reason }, key)}
        />
      ),
  },
];

const CONSENTS: readonly Column<Consent>[] = [
  { title: "Program", cell: (one) => text(one.client_id) },
  { title: "May", kind: "what", cell: (one) => (one.scopes ?? []).join(", ") },
  { title: "Status", cell: (one) => <Status of={one.status !== "ENDED" && isOver(one.expires_at) ? "over" : one.status} /> },
  { title: "Given", kind: "number spare", cell: (one) => <Time at={one.given_at} /> },
  { title: "Ends", kind: "number spare", cell: (one) => <Time at={one.expires_at} /> },
  {
    title: "What to do",
    kind: "acts",
    cell: (one) =>
      mayEnd() &&
      one.status !== "ENDED" && (
        <Act
          label="Take back"
          title={`${one.client_id} acts no more for you`}
          category="consent"
          fields={REASON}
          run={({ reason = "" }, key) => command("/v1/commands/identity/EndConsent", { consent_id: String(one.id), reason }, key)}
        >
          <p class="muted">No token that it got is good any more.</p>
        </Act>
      ),
  },
];

/** The providers of the tenant, with which one may sign in as well. */
function SignIns({ id }: { id: string }) {
  const tenant = String(me.value?.tenant_id);
  const [error, setError] = useState<Error | null>(null);
  const answer = useAnswer(async () => ({ providers: await providersOf(tenant), linked: await linkedOf(id) }), [tenant, id], ["user", "sign_in_provider"]);
  return (
    <Card id="sign-ins" title="Sign in through a provider">
      {linked.value === "" && <Notice>You sign in with who you are at the provider from now on, too.</Notice>}
      {linked.value && <Failure of={new Error(`It was not linked: ${linked.value}`)} />}
      {error && <Failure of={error} />}
      <Answered answer={answer}>
        {({ providers, linked: with_ }) =>
          providers.length ? (
            <div class="acts">
              {providers.map((one) =>
                one.id === with_ ? (
                  <p key={one.id}>{`Linked with ${one.name}`}</p>
                ) : (
                  <button key={one.id} type="button" class="quiet" onClick={() => signInThrough(tenant, one.id, { link: true }).catch(setError)}>
                    {`Link with ${one.name}`}
                  </button>
                ),
              )}
            </div>
          ) : (
            <Notice>This tenant has no provider: people sign in with their passwords.</Notice>
          )
        }
      </Answered>
    </Card>
  );
}

/** With which provider a user is linked, as far as one may know. */
async function linkedOf(id: string): Promise<string> {
  if (!may("users:read")) return "";
  const { rows } = await table("/v1/users/{id}", {}, { id });
  return String(rows[0]?.["linked_provider"] ?? "");
}
