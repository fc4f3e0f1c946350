// Scripts, when they run by themselves, and what came of it.

import { useRoute } from "preact-iso";

import { command, type Body, type Row } from "../api";
import { duration, text, words } from "../format";
import { Act, type Field } from "../parts/Act";
import { Notice, Status, Time, Top } from "../parts/bits";
import { List } from "../parts/List";
import type { Column } from "../parts/Table";
import { Thing } from "../parts/Thing";
import { may } from "../session";
import { Runs } from "./Runs";

type Script = Row<"/v1/scripts">;
type Schedule = Row<"/v1/schedules">;

export const SHELLS = ["bash", "powershell", "cmd", "python"] as const;
export type Shell = (typeof SHELLS)[number];
const REASON: readonly Field[] = [{ name: "reason", label: "Why", isOptional: true }];

const toScript = (id: string): string => `/scripts/${encodeURIComponent(id)}`;
const seconds = (said: string | undefined): number | null => (said ? Number(said) : null);

const COLUMNS: readonly Column<Script>[] = [
  { title: "Script", sort: "name", cell: (script) => text(script.name) },
  { title: "Shell", cell: (script) => words(script.shell) },
  { title: "May take", kind: "number spare", cell: (script) => duration(Number(script.timeout_s) * 1000) },
  { title: "Changed", sort: "changed_at", kind: "number", cell: (script) => <Time at={script["changed_at"]} /> },
];

const SCHEDULES: readonly Column<Schedule>[] = [
  { title: "Script", cell: (schedule) => <a href={toScript(String(schedule.script_id))}>{text(schedule.script_id)}</a> },
  { title: "Status", cell: (schedule) => <Status of={schedule.status} /> },
  { title: "When", cell: (schedule) => (schedule.cron ? `${schedule.cron} (${schedule.timezone})` : `every ${duration(Number(schedule["every_s"]) * 1000)}`) },
  { title: "Devices", kind: "what spare", cell: (schedule) => (schedule.device_ids ?? []).join(", ") },
  { title: "Next run", sort: "next_run_at", kind: "number", cell: (schedule) => <Time at={schedule.next_run_at} /> },
  { title: "What to do", kind: "acts", cell: (schedule) => may("execution:write") && <ScheduleActs of={schedule} /> },
];

function ScheduleActs({ of }: { of: Schedule }) {
  const schedule_id = String(of.id);
  if (of.status !== "ACTIVE" && of.status !== "PAUSED") return null;
  return (
    <>
      {of.status === "ACTIVE" ? (
        <Act label="Pause" category="schedule" fields={REASON} run={({ reason = "" }, key) => command("/v1/commands/execution/PauseSchedule", { schedule_id, reason }, key)} />
      ) : (
        <Act label="Resume" category="schedule" run={(_, key) => command("/v1/commands/execution/ResumeSchedule", { schedule_id }, key)} />
      )}
      <Act
        label="Remove"
        title="Remove this schedule"
        category="schedule"
        fields={REASON}
        run={({ reason = "" }, key) => command("/v1/commands/execution/RemoveSchedule", { schedule_id, reason }, key)}
      />
    </>
  );
}

const Schedules = ({ script }: { script?: string }) => (
  <List
    id="schedules"
    title="Schedules"
    path="/v1/schedules"
    columns={SCHEDULES}
    categories={["schedule"]}
    query={script ? { script_id: [script] } : {}}
    isShort
    empty={<Notice>{script ? "This script runs only when somebody runs it. Schedule it to have it run by itself." : "No script runs by itself. Open one and schedule it."}</Notice>}
  />
);

export function Scripts() {
  return (
    <>
      <Top title="Scripts">{may("execution:write") && <Write label="Write a script" kind="primary" />}</Top>
      <List
        id="scripts"
        title="All scripts"
        path="/v1/scripts"
        columns={COLUMNS}
        categories={["script"]}
        filters={{ shell: "Shell" }}
        hasWords
        to={(script) => toScript(String(script.id))}
        empty={<Notice>No scripts yet. Write one, then run it on a device or schedule it.</Notice>}
      />
      <Schedules />
      <Runs isShort />
    </>
  );
}

export function ScriptRoom() {
  const id = useRoute().params["id"] ?? "";
  return (
    <Thing
      path="/v1/scripts/{id}"
      id={id}
      category="script"
      title={(script) => String(script.name ?? id)}
      acts={may("execution:write") ? (script) => <Acts of={script as Script} id={id} /> : undefined}
    >
      {() => (
        <>
          <Schedules script={id} />
          <Runs isShort query={{ script_id: [id] }} />
        </>
      )}
    </Thing>
  );
}

function Acts({ of, id }: { of: Script; id: string }) {
  return (
    <>
      <Act
        label="Run"
        title={`Run ${of.name}`}
        category="command_execution"
        kind="primary"
        fields={[
          { name: "device_id", label: "On which device" },
          { name: "timeout_s", label: "May take seconds (left out: as the script says)", kind: "number", isOptional: true },
        ]}
        run={({ device_id = "", timeout_s }, key) =>
          command("/v1/commands/execution/RunScript", { execution_id: key, device_id, script_id: id, timeout_s: seconds(timeout_s) }, key)
        }
      />
      <Act
        label="Schedule"
        title={`Schedule ${of.name}`}
        category="schedule"
        fields={[
          { name: "device_ids", label: "On which devices, with commas between them" },
          { name: "cron", label: "When, as cron says it", isOptional: true, placeholder: "30 2 * * *" },
          { name: "every_s", label: "Or every so many seconds", kind: "number", isOptional: true },
          { name: "timezone", label: "Time zone of cron", value: "UTC" },
        ]}
        run={({ device_ids = "", cron, every_s, timezone = "UTC" }, key) =>
          command(
            "/v1/commands/execution/ScheduleScript",
            {
              schedule_id: key,
              script_id: id,
              device_ids: device_ids.split(",").map((one) => one.trim()),
              cron: cron || null,
              every_s: seconds(every_s),
              timezone,
            },
            key,
          )
        }
      />
      <Write label="Change" of={of} />
    </>
  );
}

function Write({ label, kind = "quiet", of }: { label: string; kind?: "quiet" | "primary"; of?: Script }) {
  return (
    <Act
      label={label}
      title={of ? `Change ${of.name}` : label}
      category="script"
      kind={kind}
      fields={[
        { name: "name", label: "Name", value: String(of?.name ?? "") },
        { name: "shell", label: "Shell", kind: "choice", values: SHELLS, value: String(of?.shell ?? "bash") },
        { name: "body", label: "Script", kind: "long", value: String(of?.body ?? "") },
        { name: "timeout_s", label: "May take seconds", kind: "number", value: String(of?.timeout_s ?? 60) },
      ]}
      run={({ name = "", shell, body = "", timeout_s = "60" }, key) => {
        const said = { name, shell: shell as Shell, body, timeout_s: Number(timeout_s) } satisfies Partial<Body<"/v1/commands/execution/CreateScript">>;
        return of
          ? command("/v1/commands/execution/UpdateScript", { script_id: String(of.id), ...said }, key)
          : command("/v1/commands/execution/CreateScript", { script_id: key, ...said }, key);
      }}
    />
  );
}
