// Runs of commands and scripts on devices, each with its output.

import { useRoute } from "preact-iso";

import { command, type Query, type Row } from "../api";
import { duration, text } from "../format";
import { Act } from "../parts/Act";
import { Notice, Status, Time, Top } from "../parts/bits";
import { List } from "../parts/List";
import type { Column } from "../parts/Table";
import { Thing } from "../parts/Thing";
import { may } from "../session";

type Run = Row<"/v1/command_executions">;

const COLUMNS: readonly Column<Run>[] = [
  { title: "What", cell: (run) => text(run.script_id || firstLine(run["body"])) },
  { title: "Device", cell: (run) => text(run.device_id) },
  { title: "Status", cell: (run) => <Status of={run.status} /> },
  { title: "Exit", sort: "exit_code", kind: "number spare", cell: (run) => text(run.exit_code) },
  { title: "Took", sort: "duration_ms", kind: "number spare", cell: (run) => duration(run.duration_ms) },
  { title: "Asked", sort: "dispatched_at", kind: "number", cell: (run) => <Time at={run["dispatched_at"]} /> },
];

const firstLine = (body: unknown): string => String(body ?? "").split("\n")[0]?.slice(0, 60) ?? "";

export const Runs = ({ isShort = false, query = {} }: { isShort?: boolean; query?: Query<"/v1/command_executions"> }) => (
  <List
    id="runs"
    title={isShort ? "Newest runs" : "All runs"}
    path="/v1/command_executions"
    columns={COLUMNS}
    categories={["command_execution"]}
    filters={{ status: "Status", device_id: "Device", script_id: "Script" }}
    query={query}
    isShort={isShort}
    {...(isShort ? { limit: 20 } : {})}
    to={(run) => `/runs/${encodeURIComponent(String(run.id))}`}
    empty={<Notice>Nothing ran yet. Run a command or a script on a device that has an agent.</Notice>}
  />
);

export const RunsRoom = () => (
  <>
    <Top title="Runs" />
    <Runs />
  </>
);

const OPEN = ["PENDING", "RUNNING"];

export function RunRoom() {
  const id = useRoute().params["id"] ?? "";
  return (
    <Thing
      path="/v1/command_executions/{id}"
      id={id}
      category="command_execution"
      title={(run) => `${run.script_id || "Command"} on ${run.device_id}`}
      acts={
        may("execution:write")
          ? (run) =>
              OPEN.includes(String(run.status)) && (
                <Act
                  label="Cancel"
                  title="Cancel this run"
                  category="command_execution"
                  fields={[{ name: "reason", label: "Why", isOptional: true }]}
                  run={({ reason = "" }, key) => command("/v1/commands/execution/CancelExecution", { execution_id: id, reason }, key)}
                />
              )
          : undefined
      }
    />
  );
}
