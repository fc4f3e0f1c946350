// Talks with agents: say something, and read the answer while its words come.

import { useRoute } from "preact-iso";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

import { command, fresh, table, type Json, type Row } from "../api";
import { useAnswer } from "../ask";
import { count, idOf, text } from "../format";
import { Act } from "../parts/Act";
import { Card, Failure, Notice, Status, Time, Top } from "../parts/bits";
import { List } from "../parts/List";
import type { Column } from "../parts/Table";
import { Thing } from "../parts/Thing";
import { recorded } from "../news";
import { may, me } from "../session";
import { typing, useTalk } from "../talk";

type Conversation = Row<"/v1/conversations">;
type Message = Row<"/v1/conversation_messages">;

const CATEGORY = "conversation";
const NEAR_PX = 60;

const toConversation = (id: unknown): string => `/conversations/${encodeURIComponent(String(id))}`;

export const mayTalk = (): boolean => may("automation:write", "automation:own");
/** Those who may only talk in their own say nothing in those of others. */
const mayTalkIn = (of: Record<string, Json>): boolean => may("automation:write") || (may("automation:own") && of["started_by"] === me.value?.actor?.id);

const COLUMNS: readonly Column<Conversation>[] = [
  { title: "About", sort: "title", cell: (one) => text(one.title) },
  { title: "Agent", kind: "spare", cell: (one) => text(one.agent_id) },
  { title: "Status", cell: (one) => <Status of={one.status} /> },
  { title: "Messages", kind: "number spare", cell: (one) => count(Number(one.messages ?? 0)) },
  { title: "Begun by", kind: "spare", cell: (one) => text(one.started_by) },
  { title: "Changed", sort: "changed_at", kind: "number", cell: (one) => <Time at={one.changed_at} /> },
];

export const Conversations = () => (
  <>
    <Top title="Conversations">{mayTalk() && <Begin />}</Top>
    <List
      id="conversations"
      title={may("conversations:read") ? "All conversations" : "Your conversations"}
      path="/v1/conversations"
      columns={COLUMNS}
      categories={[CATEGORY]}
      filters={{ status: "Status", agent_id: "Agent" }}
      hasWords
      to={(one) => toConversation(one.id)}
      empty={<Notice>No conversations yet. Begin one with an agent: it answers what you say.</Notice>}
    />
  </>
);

/** Begins a conversation, with this agent or with one that is chosen. */
export function Begin({ agent }: { agent?: string }) {
  const agents = useAnswer(
    async (asked) => (!agent && may("agents:read") ? (await table("/v1/agents", { status: ["ACTIVE"], limit: 100 }, {}, asked)).rows.map(({ id }) => String(id)) : []),
    [],
    ["agent"],
  );
  const known = agents.data ?? [];
  return (
    <Act
      label={agent ? "Talk" : "Begin"}
      title="Begin a conversation"
      category={CATEGORY}
      kind={agent ? "quiet" : "primary"}
      fields={[
        ...(agent ? [] : [known.length ? ({ name: "agent_id", label: "Agent", kind: "choice", values: known } as const) : { name: "agent_id", label: "Id of the agent" }]),
        { name: "title", label: "What it is about" },
      ]}
      run={({ agent_id = agent ?? "", title = "" }, key) => command("/v1/commands/automation/StartConversation", { conversation_id: key, agent_id, title }, key)}
    />
  );
}

export function ConversationRoom() {
  const id = useRoute().params["id"] ?? "";
  return (
    <Thing
      path="/v1/conversations/{id}"
      id={id}
      category={CATEGORY}
      title={(one) => String(one.title ?? id)}
      without={["id", "title", "error", "version", "messages", "changed_at"]}
      acts={(one) => mayTalkIn(one) && one.status !== "ARCHIVED" && <Acts of={one} id={id} />}
    >
      {(one) => <Talk key={id} id={id} of={one} />}
    </Thing>
  );
}

const Acts = ({ of, id: conversation_id }: { of: Record<string, Json>; id: string }) => (
  <>
    <Act
      label="Rename"
      title="Rename this conversation"
      category={CATEGORY}
      fields={[{ name: "title", label: "What it is about", value: String(of["title"] ?? "") }]}
      run={({ title = "" }, key) => command("/v1/commands/automation/RenameConversation", { conversation_id, title }, key)}
    />
    <Act
      label="Archive"
      title="Archive this conversation"
      category={CATEGORY}
      fields={[{ name: "reason", label: "Why", isOptional: true }]}
      run={({ reason = "" }, key) => command("/v1/commands/automation/ArchiveConversation", { conversation_id, reason }, key)}
    >
      <p class="muted">Nothing is said in it any more; an answer that is being made is cancelled.</p>
    </Act>
  </>
);

const messagesOf = async (id: string, asked: object): Promise<Message[]> => {
  const all: Message[] = [];
  let cursor: string | null = null;
  do {
    const page: { rows: Message[]; next: string | null } = await table("/v1/conversation_messages", { conversation_id: [id], sort: "number", limit: 100, cursor } as never, {}, asked);
    all.push(...page.rows);
    cursor = page.next;
  } while (cursor);
  return all;
};

function Talk({ id, of }: { id: string; of: Conversation }) {
  const answer = useAnswer((asked) => messagesOf(id, asked), [id], [CATEGORY]);
  const { words, typist } = useTalk(id, may("live:read", "live:own"));
  const isAnswering = of.status === "ANSWERING";
  const log = useRef<HTMLDivElement>(null);
  const isAtTheEnd = useRef(true);
  const looked = (): void => {
    const { scrollHeight = 0, scrollTop = 0, clientHeight = 0 } = log.current ?? {};
    isAtTheEnd.current = scrollHeight - scrollTop - clientHeight < NEAR_PX;
  };
  // whoever reads further up is left there
  useLayoutEffect(() => {
    if (log.current && isAtTheEnd.current) log.current.scrollTop = log.current.scrollHeight;
  });
  const messages = answer.data ?? [];
  return (
    <Card id="talk" title="What was said">
      {answer.error && !answer.data && <Failure of={answer.error} retry={answer.reload} />}
      {answer.data && !messages.length && <Notice>Nothing was said yet.</Notice>}
      {!answer.data && !answer.error && <Notice>Loading…</Notice>}
      <div class="talk" ref={log} onScroll={looked} tabIndex={0} role="log" aria-label="What was said">
        <ol>
          {messages.map((message) => (
            <Said key={String(message.id)} of={message} />
          ))}
          {isAnswering && (
            <li class="agent coming" aria-live="off">
              <p class="muted">{String(of.agent_id)}</p>
              <p>{words || "…"}</p>
            </li>
          )}
        </ol>
      </div>
      <p class="muted typist" role="status">
        {typist && `${typist} types…`}
      </p>
      {mayTalkIn(of) && of.status !== "ARCHIVED" && <Composer id={id} isAnswering={isAnswering} />}
    </Card>
  );
}

function Said({ of }: { of: Message }) {
  const isAgent = of.said_by === "agent";
  return (
    <li class={isAgent ? "agent" : "person"}>
      <p class="muted">
        {isAgent && of.execution_id && may("agent_executions:read") ? <a href={`/agents/runs/${encodeURIComponent(String(of.execution_id))}`}>{text(of.said_by)}</a> : text(of["author"] ? idOf(String(of["author"])) : of.said_by)} ·{" "}
        <Time at={of.said_at} />
      </p>
      <p>{text(of.text)}</p>
      {of["error"] && <p class="error">{`There is no answer: ${of["error"]}`}</p>}
    </li>
  );
}

function Composer({ id: conversation_id, isAnswering }: { id: string; isAnswering: boolean }) {
  const [error, setError] = useState("");
  const [isBusy, setBusy] = useState(false);
  const tell = useRef(typing(conversation_id));
  // sent again after a failure, the same words are the same message
  const attempt = useRef({ said: "", key: "" });
  const field = useRef<HTMLTextAreaElement>(null);
  const run = async (work: () => Promise<string | null>): Promise<boolean> => {
    setBusy(true);
    setError("");
    try {
      recorded(CATEGORY, await work());
      return true;
    } catch (failure) {
      setError((failure as Error).message);
      return false;
    } finally {
      setBusy(false);
    }
  };
  const say = async (event: Event): Promise<void> => {
    event.preventDefault();
    const said = field.current?.value.trim() ?? "";
    if (!said || isAnswering || isBusy) return;
    if (attempt.current.said !== said) attempt.current = { said, key: fresh() };
    const { key } = attempt.current;
    if (!(await run(() => command("/v1/commands/automation/AddMessage", { conversation_id, text: said }, key)))) return;
    attempt.current = { said: "", key: "" };
    if (field.current?.value.trim() === said) field.current.value = "";
    field.current?.focus();
  };
  const pressed = (event: KeyboardEvent): void => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) void say(event);
  };
  return (
    <form class="composer" onSubmit={(event) => void say(event)}>
      <textarea
        ref={field}
        name="text"
        rows={2}
        maxLength={10_000}
        aria-label="What you say"
        placeholder="Say something; Enter sends it, Shift-Enter begins a line"
        onInput={() => tell.current()}
        onKeyDown={pressed}
      />
      <div class="acts">
        {isAnswering ? (
          <button type="button" disabled={isBusy} onClick={() => void run(() => command("/v1/commands/automation/StopAnswer", { conversation_id }))}>
            Stop
          </button>
        ) : (
          <button type="submit" class="primary" disabled={isBusy}>
            Say
          </button>
        )}
      </div>
      {error && (
        <p class="error" role="alert">
          {error}
        </p>
      )}
    </form>
  );
}
