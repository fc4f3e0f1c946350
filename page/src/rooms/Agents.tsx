// Agents: who they are, what they ask a person for, what they did, and how many tokens it took.

import { useRoute } from "preact-iso";

import { command, table, type Json, type Query, type Row } from "../api";
import { useAnswer } from "../ask";
import { count, duration, text, words } from "../format";
import { Act, type Field } from "../parts/Act";
import { Answered, Card, Notice, Status, Time, Top } from "../parts/bits";
import { List } from "../parts/List";
import { Table, type Column } from "../parts/Table";
import { Thing } from "../parts/Thing";
import { may } from "../session";
import { Begin, mayTalk } from "./Conversations";
import { Models } from "./Models";

type Agent = Row<"/v1/agents">;
type Action = Row<"/v1/agent_actions">;
type Run = Row<"/v1/agent_executions">;
type Use = Row<"/v1/analytics/models">;

const REASON: readonly Field[] = [{ name: "reason", label: "Why", isOptional: true }];

const toAgent = (id: unknown): string => `/agents/${encodeURIComponent(String(id))}`;
const toRun = (id: unknown): string => `/agents/runs/${encodeURIComponent(String(id))}`;

const COLUMNS: readonly Column<Agent>[] = [
  { title: "Agent", sort: "name", cell: (agent) => text(agent.name) },
  { title: "Status", cell: (agent) => <Status of={agent.status} /> },
  { title: "Model", cell: (agent) => text(agent.model_id) },
  { title: "Tools", kind: "what spare", cell: (agent) => text((agent.tools ?? []).join(", ")) },
  { title: "Policy", kind: "spare", cell: (agent) => text(agent["policy_id"] || "asks a person each time") },
];

const ACTIONS: readonly Column<Action>[] = [
  { title: "Tool", cell: (action) => text(action.tool_id) },
  { title: "With", kind: "what", cell: (action) => <code>{text(action.parameters)}</code> },
  { title: "Status", cell: (action) => <Status of={action.status} /> },
  { title: "Why a person", kind: "what spare", cell: (action) => text([action.reason, action.role && `for ${action.role}`].filter(Boolean).join(", ")) },
  { title: "Proposed", kind: "number spare", cell: (action) => <Time at={action.proposed_at} /> },
];

const RUNS: readonly Column<Run>[] = [
  { title: "Agent", cell: (run) => text(run["agent_name"] ?? run.agent_id) },
  { title: "Status", cell: (run) => <Status of={run.status} /> },
  { title: "Steps", kind: "number spare", cell: (run) => count(Number(run.steps ?? 0)) },
  { title: "Tokens", kind: "number spare", cell: (run) => count(Number(run.input_tokens ?? 0) + Number(run.output_tokens ?? 0)) },
  { title: "Took", kind: "number spare", cell: (run) => duration(run.duration_ms) },
  { title: "Started", sort: "started_at", kind: "number", cell: (run) => <Time at={run.started_at} /> },
];

const decide: Column<Action> = {
  title: "What to do",
  kind: "acts",
  cell: (action) => may("automation:write") && action.status === "PROPOSED" && <Decide of={action} />,
};

export function Agents() {
  return (
    <>
      <Top title="Agents">{may("automation:write") && <Make label="Create" />}</Top>
      {may("agent_executions:read") && (
        <List
          id="actions"
          title="Waiting for a person"
          path="/v1/agent_actions"
          columns={[...ACTIONS, decide]}
          categories={["agent_execution"]}
          query={{ status: ["PROPOSED"] }}
          isShort
          to={(action) => toRun(action.execution_id)}
          empty={<Notice>No agent waits for a person.</Notice>}
        />
      )}
      <List
        id="agents"
        title="All agents"
        path="/v1/agents"
        columns={COLUMNS}
        categories={["agent"]}
        filters={{ status: "Status", model_id: "Model" }}
        to={(agent) => toAgent(agent.id)}
        empty={<Notice>No agents yet. Keep a key of a provider in Settings, register a model below, then create an agent.</Notice>}
      />
      {may("agent_executions:read") && <Runs />}
      {may("models:read") && <Models />}
      {may("analytics:read") && <Tokens />}
    </>
  );
}

const Runs = ({ query = {} }: { query?: Query<"/v1/agent_executions"> }) => (
  <List
    id="runs"
    title="Newest runs"
    path="/v1/agent_executions"
    columns={RUNS}
    categories={["agent_execution"]}
    query={query}
    isShort
    limit={20}
    to={(run) => toRun(run.id)}
    empty={<Notice>No agent ran yet. Open one and run it.</Notice>}
  />
);

function Decide({ of }: { of: Action }) {
  const which = { execution_id: String(of.execution_id), action_id: String(of.action_id) };
  return (
    <>
      <Act
        label="Approve"
        title={`Let the agent use ${of.tool_id}`}
        category="agent_execution"
        fields={[{ name: "note", label: "Note", isOptional: true }]}
        run={({ note = "" }, key) => command("/v1/commands/automation/ApproveAction", { ...which, note }, key)}
      >
        <pre tabIndex={0} aria-label="With">
          {text(of.parameters)}
        </pre>
      </Act>
      <Act
        label="Reject"
        title={`Do not let the agent use ${of.tool_id}`}
        category="agent_execution"
        fields={[{ name: "reason", label: "Why; the model is told" }]}
        run={({ reason = "" }, key) => command("/v1/commands/automation/RejectAction", { ...which, reason }, key)}
      />
    </>
  );
}

const USED: readonly Column<Use>[] = [
  { title: "Model", cell: (use) => text(use.model) },
  { title: "Answers", kind: "number", cell: (use) => count(Number(use.tasks ?? 0)) },
  { title: "Tokens in", kind: "number", cell: (use) => count(Number(use.input_tokens ?? 0)) },
  { title: "Tokens out", kind: "number", cell: (use) => count(Number(use.output_tokens ?? 0)) },
];

function Tokens() {
  const answer = useAnswer((asked) => table("/v1/analytics/models", { by: "model", start: "-30d" }, {}, asked), [], ["task"]);
  return (
    <Card id="tokens" title="Tokens of the last 30 days">
      <Answered answer={answer}>
        {({ rows }) => (rows.length ? <Table columns={USED} rows={rows} keyOf={(use) => String(use.model)} /> : <Notice>No model was asked.</Notice>)}
      </Answered>
    </Card>
  );
}

export function AgentRoom() {
  const id = useRoute().params["id"] ?? "";
  return (
    <Thing
      path="/v1/agents/{id}"
      id={id}
      category="agent"
      title={(agent) => String(agent.name ?? id)}
      acts={(agent) =>
        agent.status === "ACTIVE" && (
          <>
            {mayTalk() && <Begin agent={id} />}
            {may("automation:write") && <Acts of={agent} id={id} />}
          </>
        )
      }
    >
      {() => may("agent_executions:read") && <Runs query={{ agent_id: [id] }} />}
    </Thing>
  );
}

const Acts = ({ of, id: agent_id }: { of: Record<string, Json>; id: string }) => (
  <>
    <Act
      label="Run"
      title={`Run ${of["name"]}`}
      category="agent_execution"
      kind="primary"
      fields={[{ name: "input", label: "What it is told", kind: "long" }]}
      run={({ input = "" }, key) => command("/v1/commands/automation/ExecuteAgent", { execution_id: key, agent_id, input }, key)}
    />
    <Make label="Change" of={of} />
    <Act label="Retire" title="Retire this agent" category="agent" fields={REASON} run={({ reason = "" }, key) => command("/v1/commands/automation/RetireAgent", { agent_id, reason }, key)} />
  </>
);

const list = (said: string): string[] =>
  said
    .split(",")
    .map((one) => one.trim())
    .filter(Boolean);

function Make({ label, of }: { label: string; of?: Record<string, Json> }) {
  return (
    <Act
      label={label}
      title={of ? `Change ${of["name"]}` : "Create an agent"}
      category="agent"
      kind={of ? "quiet" : "primary"}
      fields={[
        { name: "name", label: "Name", value: String(of?.["name"] ?? "") },
        { name: "prompt", label: "What it is and what it is to do", kind: "long", value: String(of?.["prompt"] ?? "") },
        { name: "model_id", label: "Id of its model", value: String(of?.["model_id"] ?? "") },
        { name: "tools", label: "Ids of its tools, with commas between them", isOptional: true, value: ((of?.["tools"] ?? []) as string[]).join(", ") },
        { name: "policy_id", label: "Id of its policy (left out: a person is asked each time)", isOptional: true, value: String(of?.["policy_id"] ?? "") },
        { name: "max_steps", label: "Answers of the model in one run", kind: "number", value: String(of?.["max_steps"] ?? 10) },
      ]}
      run={({ name = "", prompt = "", model_id = "", tools = "", policy_id, max_steps }, key) => {
        const said = { name, prompt, model_id, tools: list(tools), policy_id: policy_id || null, max_steps: Number(max_steps) };
        return of
          ? command("/v1/commands/automation/UpdateAgent", { agent_id: String(of["id"]), ...said }, key)
          : command("/v1/commands/automation/CreateAgent", { agent_id: key, ...said }, key);
      }}
    />
  );
}

const STEPS: readonly Column<Action>[] = [
  { title: "Step", cell: (action) => String(action.step) },
  ...ACTIONS,
  { title: "Decided by", kind: "spare", cell: (action) => text([words(action["by"]), action["decided_by"]].filter((one) => one && one !== "–").join(" ")) },
  { title: "What came of it", kind: "what", cell: (action) => text(action["output"] || action["error"] || action["note"]) },
  decide,
];

export function AgentRunRoom() {
  const id = useRoute().params["id"] ?? "";
  return (
    <Thing
      path="/v1/agent_executions/{id}"
      id={id}
      category="agent_execution"
      title={(run) => `A run of ${run["agent_name"] ?? run["agent_id"]}`}
      acts={
        may("automation:write")
          ? (run) =>
              run["status"] === "RUNNING" && (
                <Act
                  label="Cancel"
                  title="Cancel this run"
                  category="agent_execution"
                  fields={REASON}
                  run={({ reason = "" }, key) => command("/v1/commands/automation/CancelAgentExecution", { execution_id: id, reason }, key)}
                />
              )
          : undefined
      }
    >
      {() => (
        <List
          id="steps"
          title="What the agent asked for"
          path="/v1/agent_actions"
          columns={STEPS}
          categories={["agent_execution"]}
          query={{ execution_id: [id], sort: "proposed_at" }}
          isShort
          limit={100}
          empty={<Notice>The model has asked for no tool.</Notice>}
        />
      )}
    </Thing>
  );
}
