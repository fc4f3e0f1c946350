// Workflows, what waits for a person, and what runs.

import { useState } from "preact/hooks";
import { useRoute } from "preact-iso";

import { command, fresh, type Body, type Row } from "../api";
import { count, duration, text } from "../format";
import { Act } from "../parts/Act";
import { Analysis } from "../parts/Analysis";
import { Card, Notice, Status, Time, Top } from "../parts/bits";
import { Graph, type GraphOf } from "../parts/Graph";
import { List } from "../parts/List";
import type { Column } from "../parts/Table";
import { Thing } from "../parts/Thing";
import { may } from "../session";

type Workflow = Row<"/v1/workflows">;
type Execution = Row<"/v1/executions">;
type Approval = Row<"/v1/approvals">;

const toExecution = (id: unknown): string => `/executions/${encodeURIComponent(String(id))}`;

const COLUMNS: readonly Column<Workflow>[] = [
  { title: "Workflow", cell: (workflow) => text(workflow.name) },
  { title: "Status", cell: (workflow) => <Status of={workflow.status} /> },
  { title: "Version", kind: "number", cell: (workflow) => text(workflow.published) },
  { title: "Nodes", kind: "number spare", cell: (workflow) => text(workflow.nodes) },
  { title: "Changed", kind: "number", cell: (workflow) => <Time at={workflow["changed_at"]} /> },
];

const EXECUTIONS: readonly Column<Execution>[] = [
  { title: "Execution", cell: (execution) => text(execution.id) },
  { title: "Workflow", cell: (execution) => text(execution.workflow_id) },
  { title: "Status", cell: (execution) => <Status of={execution.status} /> },
  { title: "Waits for", kind: "spare", cell: (execution) => text(execution["waits_for"]) },
  { title: "Started by", kind: "spare", cell: (execution) => text(execution["started_by"]) },
  { title: "Took", kind: "number spare", cell: (execution) => duration(execution.duration_ms) },
  { title: "Started", sort: "started_at", kind: "number", cell: (execution) => <Time at={execution.started_at} /> },
];

const APPROVALS: readonly Column<Approval>[] = [
  { title: "Step", cell: (approval) => text(approval["node_name"] || approval.node_id) },
  { title: "Workflow", cell: (approval) => text(approval.workflow_id) },
  { title: "Role", cell: (approval) => text(approval.role) },
  { title: "Until", kind: "number", cell: (approval) => <Time at={approval.until} /> },
];

function Executions({ query = {} }: { query?: { workflow_id?: string[] } }) {
  return (
    <List
      id="executions"
      title="Executions"
      path="/v1/executions"
      columns={EXECUTIONS}
      categories={["execution"]}
      query={query}
      filters={{ status: "Status" }}
      to={(execution) => toExecution(execution.id)}
      empty={<Notice>Nothing was executed yet.</Notice>}
    />
  );
}

const ENDED: readonly Column<Row<"/v1/analytics/workflows">>[] = [
  { title: "Executions", kind: "number", cell: (row) => count(Number(row.executions ?? 0)) },
  { title: "Completed", kind: "number spare", cell: (row) => count(Number(row.completed ?? 0)) },
  { title: "Failed", kind: "number", cell: (row) => count(Number(row.failed ?? 0)) },
  { title: "Cancelled", kind: "number spare", cell: (row) => count(Number(row.cancelled ?? 0)) },
  { title: "Usually took", kind: "number", cell: (row) => duration(row.mean_ms) },
  { title: "Longest", kind: "number spare", cell: (row) => duration(row.longest_ms) },
];

export const ExecutionsRoom = () => (
  <>
    <Top title="Executions" />
    {may("analytics:read") && (
      <Analysis
        id="ended"
        title="How executions ended"
        path="/v1/analytics/workflows"
        by={["workflow", "day", "status"]}
        columns={ENDED}
        categories={["execution"]}
        empty="None has ended yet."
      />
    )}
    <Executions />
  </>
);

export function Workflows() {
  const decide: Column<Approval> = { title: "What to do", kind: "acts", cell: (approval) => <Decide of={approval} /> };
  return (
    <>
      <Top title="Workflows">{may("automation:write", "automation:own") && <Create />}</Top>
      <List
        id="approvals"
        title="Waiting for a person"
        path="/v1/approvals"
        columns={may("automation:write", "automation:own") ? [...APPROVALS, decide] : APPROVALS}
        categories={["execution"]}
        query={{ status: ["PENDING"] }}
        isShort
        to={(approval) => toExecution(approval.execution_id)}
        empty={<Notice>Nothing waits for a person.</Notice>}
      />
      <List
        id="workflows"
        title="All workflows"
        path="/v1/workflows"
        columns={COLUMNS}
        categories={["workflow"]}
        isShort
        to={(workflow) => `/workflows/${encodeURIComponent(String(workflow.id))}`}
        empty={<Notice>No workflows yet. Create one and publish its graph.</Notice>}
      />
      <Executions />
    </>
  );
}

function Decide({ of }: { of: Approval }) {
  const which = { execution_id: String(of.execution_id), node_id: String(of.node_id) };
  return (
    <>
      <Act
        label="Approve"
        category="execution"
        fields={[{ name: "note", label: "Note", isOptional: true }]}
        run={({ note = "" }, key) => command("/v1/commands/automation/ApproveNode", { ...which, note }, key)}
      />
      <Act
        label="Reject"
        category="execution"
        fields={[{ name: "reason", label: "Why" }]}
        run={({ reason = "" }, key) => command("/v1/commands/automation/RejectNode", { ...which, reason }, key)}
      />
    </>
  );
}

const Create = () => (
  <Act
    label="Create"
    title="Create a workflow"
    category="workflow"
    fields={[
      { name: "name", label: "Name" },
      { name: "workflow_id", label: "Id (left out: a new one)", isOptional: true },
      { name: "description", label: "What it does", isOptional: true },
    ]}
    run={({ name = "", workflow_id, description = "" }, key) =>
      command("/v1/commands/automation/CreateWorkflow", { workflow_id: workflow_id || fresh(), name, description }, key)
    }
  />
);

export function WorkflowRoom() {
  const id = useRoute().params["id"] ?? "";
  return (
    <>
      <Thing
        path="/v1/workflows/{id}"
        id={id}
        category="workflow"
        title={(workflow) => String(workflow.name ?? id)}
        without={["graph"]}
        acts={may("automation:write", "automation:own") ? (workflow) => <Acts id={id} status={String(workflow.status)} /> : undefined}
      >
        {(workflow) => <Editor id={id} graph={String(workflow["graph"] ?? "")} />}
      </Thing>
      <Executions query={{ workflow_id: [id] }} />
    </>
  );
}

function Acts({ id: workflow_id, status }: { id: string; status: string }) {
  return (
    <>
      {status === "ACTIVE" && (
        <Act
          label="Execute"
          title="Execute this workflow"
          category="execution"
          kind="primary"
          fields={[{ name: "input", label: "Input, as JSON", kind: "long", value: "{}" }]}
          run={({ input = "{}" }, key) =>
            command("/v1/commands/automation/ExecuteWorkflow", { execution_id: key, workflow_id, input: JSON.parse(input) as never }, key)
          }
        />
      )}
      {status === "ACTIVE" && (
        <Act
          label="Deactivate"
          category="workflow"
          fields={[{ name: "reason", label: "Why", isOptional: true }]}
          run={({ reason = "" }, key) => command("/v1/commands/automation/DeactivateWorkflow", { workflow_id, reason }, key)}
        />
      )}
      {(status === "INACTIVE" || status === "DRAFT") && (
        <Act
          label="Archive"
          title="Archive this workflow"
          category="workflow"
          fields={[{ name: "reason", label: "Why", isOptional: true }]}
          run={({ reason = "" }, key) => command("/v1/commands/automation/ArchiveWorkflow", { workflow_id, reason }, key)}
        />
      )}
      {status === "INACTIVE" && (
        <Act label="Activate" category="workflow" run={(_, key) => command("/v1/commands/automation/ActivateWorkflow", { workflow_id }, key)} />
      )}
    </>
  );
}

export function graphOf(text: string): GraphOf | Error {
  try {
    const graph = JSON.parse(text) as Partial<GraphOf>;
    if (!Array.isArray(graph.nodes)) return new Error("a graph has nodes, a list");
    return { nodes: graph.nodes, edges: graph.edges ?? [] };
  } catch (error) {
    return error as Error;
  }
}

const EMPTY = '{"nodes": [], "edges": []}';

/** The graph as JSON beside its drawing; the server says all faults at once when it is published. */
function Editor({ id, graph }: { id: string; graph: string }) {
  const [text, setText] = useState(graph ? JSON.stringify(JSON.parse(graph), null, 2) : EMPTY);
  const drawn = graphOf(text);
  return (
    <Card
      id="graph"
      title="Graph"
      more={
        may("automation:write", "automation:own") && (
          <Act
            label="Publish"
            title="Publish this graph"
            category="workflow"
            kind="primary"
            disabled={drawn instanceof Error}
            run={(_, key) => command("/v1/commands/automation/PublishWorkflow", { workflow_id: id, ...(drawn as unknown as Published) }, key)}
          />
        )
      }
    >
      {drawn instanceof Error ? <p class="error">{drawn.message}</p> : <Graph of={drawn} />}
      {may("automation:write", "automation:own") && (
        <textarea class="code" aria-label="Graph as JSON" rows={14} spellcheck={false} value={text} onInput={(event) => setText(event.currentTarget.value)} />
      )}
    </Card>
  );
}

type Published = Omit<Body<"/v1/commands/automation/PublishWorkflow">, "workflow_id">;
