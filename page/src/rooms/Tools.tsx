// Tools that workflows and agents use, the policies that say what agents may do with them, and what was executed.

import { useRoute } from "preact-iso";

import { command, type Body, type Json, type Query, type Row } from "../api";
import { duration, text, words } from "../format";
import { Act, type Field } from "../parts/Act";
import { Notice, Status, Time, Top } from "../parts/bits";
import { List } from "../parts/List";
import type { Column } from "../parts/Table";
import { Thing } from "../parts/Thing";
import { may } from "../session";

type Tool = Row<"/v1/tools">;
type Policy = Row<"/v1/policies">;
type Execution = Row<"/v1/tool_executions">;

const REASON: readonly Field[] = [{ name: "reason", label: "Why", isOptional: true }];
const NOTHING_MORE = '{"type": "object", "properties": {}}';

const COLUMNS: readonly Column<Tool>[] = [
  { title: "Tool", sort: "name", cell: (tool) => text(tool.name) },
  { title: "Status", cell: (tool) => <Status of={tool.status} /> },
  { title: "Done by", cell: (tool) => text(tool.kind) },
  { title: "A minute", kind: "number spare", cell: (tool) => text(tool.limit_per_minute) },
  { title: "Last time", kind: "spare", cell: (tool) => (tool.last_status ? <Status of={tool.last_status} /> : "–") },
  { title: "Executed", sort: "executed_at", kind: "number", cell: (tool) => <Time at={tool.executed_at} /> },
];

const EXECUTIONS: readonly Column<Execution>[] = [
  { title: "Tool", cell: (one) => text(one.tool_id) },
  { title: "Status", cell: (one) => <Status of={one.status} /> },
  { title: "By", kind: "spare", cell: (one) => text(one.started_by) },
  { title: "Took", sort: "duration_ms", kind: "number spare", cell: (one) => duration(one.duration_ms) },
  { title: "Started", sort: "started_at", kind: "number", cell: (one) => <Time at={one.started_at} /> },
];

const POLICIES: readonly Column<Policy>[] = [
  { title: "Policy", cell: (policy) => text(policy.name) },
  { title: "Status", cell: (policy) => <Status of={policy.status} /> },
  { title: "Rules", kind: "what", cell: (policy) => <code>{text(policy.rules)}</code> },
  { title: "Otherwise", cell: (policy) => words(policy.otherwise) },
  { title: "What to do", kind: "acts", cell: (policy) => may("automation:write") && policy.status === "ACTIVE" && <PolicyActs of={policy} /> },
];

export function Tools() {
  return (
    <>
      <Top title="Tools">{may("automation:write") && <Register label="Register" />}</Top>
      <List
        id="tools"
        title="All tools"
        path="/v1/tools"
        columns={COLUMNS}
        categories={["tool"]}
        filters={{ status: "Status", kind: "Done by" }}
        hasWords
        to={(tool) => `/tools/${encodeURIComponent(String(tool.id))}`}
        empty={<Notice>No tools yet. Register one: a kind of task, with a schema of what a caller may give.</Notice>}
      />
      {may("policies:read") && (
        <List
          id="policies"
          title="Policies of agents"
          path="/v1/policies"
          columns={POLICIES}
          categories={["policy"]}
          isShort
          more={may("automation:write") && <SetPolicy label="Set a policy" />}
          empty={<Notice>No policies yet: agents ask a person each time.</Notice>}
        />
      )}
      {may("tool_executions:read") && <Executions />}
    </>
  );
}

const Executions = ({ query = {} }: { query?: Query<"/v1/tool_executions"> }) => (
  <List
    id="tool-executions"
    title="Newest executions"
    path="/v1/tool_executions"
    columns={EXECUTIONS}
    categories={["tool"]}
    query={query}
    isShort
    limit={20}
    to={(one) => `/tools/executions/${encodeURIComponent(String(one.id))}`}
    empty={<Notice>No tool was executed yet.</Notice>}
  />
);

export function ToolRoom() {
  const id = useRoute().params["id"] ?? "";
  return (
    <Thing
      path="/v1/tools/{id}"
      id={id}
      category="tool"
      title={(tool) => String(tool.name ?? id)}
      acts={may("automation:write") ? (tool) => tool.status === "ACTIVE" && <Acts of={tool} id={id} /> : undefined}
    >
      {() => may("tool_executions:read") && <Executions query={{ tool_id: [id] }} />}
    </Thing>
  );
}

const Acts = ({ of, id: tool_id }: { of: Record<string, Json>; id: string }) => (
  <>
    <Act
      label="Execute"
      title={`Execute ${of["name"]}`}
      category="tool"
      kind="primary"
      fields={[{ name: "parameters", label: "Parameters, as JSON", kind: "long", value: "{}" }]}
      run={({ parameters = "{}" }, key) =>
        command("/v1/commands/automation/ExecuteTool", { tool_id, execution_id: key, parameters: JSON.parse(parameters) as never }, key)
      }
    />
    <Register label="Change" of={of} />
    <Act label="Retire" title="Retire this tool" category="tool" fields={REASON} run={({ reason = "" }, key) => command("/v1/commands/automation/RetireTool", { tool_id, reason }, key)} />
  </>
);

export function ToolExecutionRoom() {
  const id = useRoute().params["id"] ?? "";
  return (
    <Thing
      path="/v1/tool_executions/{id}"
      id={id}
      category="tool"
      stream={(one) => `tool-${one["tool_id"]}`}
      title={(one) => `An execution of ${one["tool_id"]}`}
      acts={
        may("automation:write")
          ? (one) =>
              one["status"] === "RUNNING" && (
                <Act
                  label="Cancel"
                  title="Cancel this execution"
                  category="tool"
                  fields={REASON}
                  run={({ reason = "" }, key) =>
                    command("/v1/commands/automation/CancelToolExecution", { tool_id: String(one["tool_id"]), execution_id: id, reason }, key)
                  }
                />
              )
          : undefined
      }
    />
  );
}

type Registered = Body<"/v1/commands/automation/RegisterTool">;

function Register({ label, of }: { label: string; of?: Record<string, Json> }) {
  return (
    <Act
      label={label}
      title={of ? `Change ${of["name"]}` : "Register a tool"}
      category="tool"
      kind={of ? "quiet" : "primary"}
      fields={[
        ...(of ? [] : [{ name: "tool_id", label: "Id" }]),
        { name: "name", label: "Name", value: String(of?.["name"] ?? "") },
        { name: "description", label: "What it does, for a model", isOptional: true, value: String(of?.["description"] ?? "") },
        { name: "kind", label: "Kind of task that does it", value: String(of?.["kind"] ?? "http.check") },
        { name: "parameters", label: "What a caller may give, as JSON Schema", kind: "long", value: String(of?.["parameters"] ?? NOTHING_MORE) },
        { name: "fixed", label: "What no caller can change, as JSON", kind: "long", value: String(of?.["fixed"] || "{}") },
        { name: "limit_per_minute", label: "Executions a minute, 1 to 30", kind: "number", value: String(of?.["limit_per_minute"] ?? 30) },
      ]}
      run={({ tool_id = String(of?.["id"] ?? ""), name = "", description = "", kind = "", parameters = "", fixed = "{}", limit_per_minute }, key) => {
        const said: Registered = {
          tool_id,
          name,
          description,
          kind,
          parameters: JSON.parse(parameters) as Registered["parameters"],
          fixed: JSON.parse(fixed) as Registered["fixed"] & object,
          limit_per_minute: Number(limit_per_minute),
        };
        return of ? command("/v1/commands/automation/UpdateTool", said, key) : command("/v1/commands/automation/RegisterTool", said, key);
      }}
    />
  );
}

const OTHERWISE = ["ask", "allow", "deny"] as const;
type Rules = NonNullable<Body<"/v1/commands/automation/SetPolicy">["rules"]>;

function SetPolicy({ label, of }: { label: string; of?: Policy }) {
  return (
    <Act
      label={label}
      title={of ? `Change ${of.name}` : label}
      category="policy"
      fields={[
        ...(of ? [] : [{ name: "policy_id", label: "Id" }]),
        { name: "name", label: "Name", value: String(of?.name ?? "") },
        {
          name: "rules",
          label: "Rules, as JSON: the first that holds decides",
          kind: "long",
          value: of ? JSON.stringify(JSON.parse(String(of.rules)), null, 2) : '[{"tools": [], "decision": "ask", "role": "ADMIN"}]',
        },
        { name: "otherwise", label: "Otherwise", kind: "choice", values: OTHERWISE, value: String(of?.otherwise ?? "ask") },
      ]}
      run={({ policy_id = String(of?.id ?? ""), name = "", rules = "[]", otherwise }, key) =>
        command(
          "/v1/commands/automation/SetPolicy",
          { policy_id, name, rules: JSON.parse(rules) as Rules, otherwise: otherwise as (typeof OTHERWISE)[number] },
          key,
        )
      }
    />
  );
}

const PolicyActs = ({ of }: { of: Policy }) => (
  <>
    <SetPolicy label="Change" of={of} />
    <Act
      label="Retire"
      title={`Retire ${of.name}`}
      category="policy"
      fields={REASON}
      run={({ reason = "" }, key) => command("/v1/commands/automation/RetirePolicy", { policy_id: String(of.id), reason }, key)}
    />
  </>
);
