import { useRoute } from "preact-iso";

import { command, type Row } from "../api";
import { text } from "../format";
import { Act } from "../parts/Act";
import { Notice, Status, Time, Top } from "../parts/bits";
import { List } from "../parts/List";
import type { Column } from "../parts/Table";
import { Thing } from "../parts/Thing";
import { may } from "../session";

type Task = Row<"/v1/tasks">;

const COLUMNS: readonly Column<Task>[] = [
  { title: "Task", cell: (task) => text(task.id) },
  { title: "Kind", sort: "kind", cell: (task) => text(task.kind) },
  { title: "Status", cell: (task) => <Status of={task.status} /> },
  { title: "Worker", kind: "spare", cell: (task) => text(task.worker) },
  { title: "Attempt", kind: "number", cell: (task) => text(task.attempt) },
  { title: "Lease until", kind: "number spare", cell: (task) => <Time at={task.lease_until} /> },
];

export function Tasks() {
  return (
    <>
      <Top title="Tasks" />
      <List
        id="tasks"
        title="All tasks"
        path="/v1/tasks"
        columns={COLUMNS}
        categories={["task"]}
        filters={{ status: "Status", kind: "Kind", worker: "Worker" }}
        to={(task) => `/tasks/${encodeURIComponent(String(task.id))}`}
        empty={<Notice>No tasks yet. A workflow's node asks for one, or a command.</Notice>}
      />
    </>
  );
}

const OPEN = ["WAITING", "CLAIMED"];

export function TaskRoom() {
  const id = useRoute().params["id"] ?? "";
  return (
    <Thing
      path="/v1/tasks/{id}"
      id={id}
      category="task"
      title={(task) => `${task.kind}`}
      acts={
        may("operations:write")
          ? (task) =>
              OPEN.includes(String(task.status)) && (
                <Act
                  label="Cancel"
                  title="Cancel this task"
                  category="task"
                  fields={[{ name: "reason", label: "Why", isOptional: true }]}
                  run={({ reason = "" }, key) => command("/v1/commands/operations/CancelTask", { task_id: id, reason }, key)}
                />
              )
          : undefined
      }
    />
  );
}
