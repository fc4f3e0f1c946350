// One execution: its graph with what became of each node, and every step.

import { useRoute } from "preact-iso";

import { command, table, type Asked, type Row, type Table as Page } from "../api";
import { useAnswer } from "../ask";
import { duration, text } from "../format";
import { Act } from "../parts/Act";
import { Answered, Card, Status, Time } from "../parts/bits";
import { Graph } from "../parts/Graph";
import { Table, type Column } from "../parts/Table";
import { Thing } from "../parts/Thing";
import { may } from "../session";
import { graphOf } from "./Workflows";

type Step = Row<"/v1/executions/{id}/logs">;

const PAGE = 100;
const MOST = 1000;

const COLUMNS: readonly Column<Step>[] = [
  { title: "When", cell: (step) => <Time at={step.at} /> },
  { title: "What", cell: (step) => <Status of={stateOf(step)} /> },
  { title: "Node", cell: (step) => text(step.node_name || step.node_id) },
  { title: "Kind", kind: "spare", cell: (step) => text(step.node_type) },
  { title: "Took", kind: "number spare", cell: (step) => duration(step.duration_ms) },
  { title: "Data", kind: "what", cell: (step) => text(step.data) },
];

/** "workflow.node.completed" -> "completed" */
const stateOf = (step: Step): string => String(step.event ?? "").split(".").at(-1) ?? "";

export function ExecutionRoom() {
  const id = useRoute().params["id"] ?? "";
  return (
    <Thing
      path="/v1/executions/{id}"
      id={id}
      category="execution"
      title={(execution) => `Execution of ${execution["name"] || execution.workflow_id}`}
      acts={may("automation:write", "automation:own") ? (execution) => <Acts id={id} status={String(execution.status)} /> : undefined}
    >
      {(execution) => <Steps id={id} workflow={String(execution.workflow_id)} version={Number(execution.workflow_version)} />}
    </Thing>
  );
}

function Acts({ id: execution_id, status }: { id: string; status: string }) {
  return (
    <>
      {status === "FAILED" && (
        <Act
          label="Retry"
          title="Go on from what failed"
          category="execution"
          kind="primary"
          run={(_, key) => command("/v1/commands/automation/RetryExecution", { execution_id }, key)}
        />
      )}
      {status === "RUNNING" && (
        <Act
          label="Cancel"
          title="Cancel this execution"
          category="execution"
          fields={[{ name: "reason", label: "Why", isOptional: true }]}
          run={({ reason = "" }, key) => command("/v1/commands/automation/CancelExecution", { execution_id, reason }, key)}
        />
      )}
    </>
  );
}

async function stepsOf(id: string, asked: Asked): Promise<Step[]> {
  const steps: Step[] = [];
  let cursor: string | null = null;
  do {
    const page: Page<Step> = await table("/v1/executions/{id}/logs", { limit: PAGE, cursor }, { id }, asked);
    steps.push(...page.rows);
    cursor = page.next;
  } while (cursor && steps.length < MOST);
  return steps;
}

function Steps({ id, workflow, version }: { id: string; workflow: string; version: number }) {
  const load = async (asked: Asked) => {
    const [steps, workflows] = await Promise.all([
      stepsOf(id, asked),
      may("workflows:read", "workflows:own") ? table("/v1/workflows/{id}", {}, { id: workflow }) : null,
    ]);
    return { steps, workflow: workflows?.rows[0] ?? null };
  };
  const answer = useAnswer(load, [id, workflow], ["execution"]);
  return (
    <Answered answer={answer}>
      {({ steps, workflow: of }) => {
        // an execution keeps the graph that it began with: that of another version is not its own
        const graph = of && Number(of.published) === version ? graphOf(String(of["graph"] ?? "")) : new Error();
        const states = new Map(steps.filter((step) => step.node_id).map((step) => [String(step.node_id), stateOf(step)]));
        return (
          <>
            {!(graph instanceof Error) && (
              <Card id="graph" title="Graph">
                <Graph of={graph} states={states} />
              </Card>
            )}
            <Card id="steps" title="Steps">
              <Table columns={COLUMNS} rows={steps} keyOf={(step) => `${step.step} ${step.item}`} />
            </Card>
          </>
        );
      }}
    </Answered>
  );
}
