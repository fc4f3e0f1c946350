// Watches: what raises alerts. A new one is tried over the past before it is defined.

import { useState } from "preact/hooks";
import { useRoute } from "preact-iso";

import { ask, client, command, fresh, type Body, type Row } from "../api";
import { useAddress } from "../address";
import { plural, reading, text, words } from "../format";
import { Act } from "../parts/Act";
import { Card, Choice, Failure, Notice, Status, Time, Top } from "../parts/bits";
import { List } from "../parts/List";
import { Table, type Column } from "../parts/Table";
import { Thing } from "../parts/Thing";
import { recorded } from "../news";
import { may } from "../session";

type Watch = Row<"/v1/watches">;
type Definition = Body<"/v1/commands/fleet/DefineWatch">;
type Rule = Definition["rule"];

const COLUMNS: readonly Column<Watch>[] = [
  { title: "Watch", sort: "name", cell: (watch) => text(watch.name) },
  { title: "Kind", sort: "kind", cell: (watch) => words(watch.kind) },
  { title: "Severity", sort: "severity", cell: (watch) => <Status of={watch.severity} /> },
  { title: "Device", kind: "spare", cell: (watch) => text(watch["device_id"] || "all") },
  { title: "Status", sort: "status", cell: (watch) => <Status of={watch.status} /> },
  { title: "Defined", sort: "defined_at", kind: "number spare", cell: (watch) => <Time at={watch["defined_at"]} /> },
];

export function Watches() {
  const { query, set } = useAddress();
  const isNew = query["new"] === "yes";
  return (
    <>
      <Top title="Watches">
        {may("fleet:write") && (
          <button type="button" class="primary" onClick={() => set({ new: isNew ? null : "yes" })}>
            {isNew ? "Leave it" : "Define a watch"}
          </button>
        )}
      </Top>
      {isNew && <NewWatch onDone={() => set({ new: null })} />}
      <List
        id="watches"
        title="All watches"
        path="/v1/watches"
        columns={COLUMNS}
        categories={["watch"]}
        filters={{ status: "Status", kind: "Kind", severity: "Severity" }}
        hasWords
        to={(watch) => `/watches/${encodeURIComponent(String(watch.id))}`}
        empty={<Notice>No watches yet. Define one: it raises an alert when something lasts, changes, fails too often or is unusual.</Notice>}
      />
    </>
  );
}

export function WatchRoom() {
  const id = useRoute().params["id"] ?? "";
  return (
    <Thing
      path="/v1/watches/{id}"
      id={id}
      category="watch"
      title={(watch) => String(watch.name ?? id)}
      acts={
        may("fleet:write")
          ? (watch) =>
              watch.status === "ACTIVE" && (
                <Act
                  label="Remove"
                  title="Remove this watch"
                  category="watch"
                  fields={[{ name: "reason", label: "Why", isOptional: true }]}
                  run={({ reason = "" }, key) => command("/v1/commands/fleet/RemoveWatch", { watch_id: id, reason }, key)}
                />
              )
          : undefined
      }
    />
  );
}

interface Part {
  name: string;
  label: string;
  isText?: boolean;
  value?: string;
  isOptional?: boolean;
}

const KINDS: Readonly<Record<string, readonly Part[]>> = {
  threshold: [
    { name: "metric", label: "Metric", isText: true, value: "cpu_percent" },
    { name: "above", label: "Above", value: "90", isOptional: true },
    { name: "below", label: "Or below", isOptional: true },
    { name: "for_s", label: "For seconds", value: "60" },
  ],
  rate_of_change: [
    { name: "metric", label: "Metric", isText: true, value: "disk_percent" },
    { name: "by", label: "Changes by", value: "10" },
    { name: "within_s", label: "Within seconds", value: "600" },
  ],
  failures: [
    { name: "contains", label: "Lines with", isText: true, value: "Failed password" },
    { name: "key_after", label: "Counted by the word after", isText: true, isOptional: true, value: " from " },
    { name: "count", label: "How many", value: "5" },
    { name: "within_s", label: "Within seconds", value: "60" },
  ],
  anomaly: [
    { name: "metric", label: "Metric", isText: true, value: "cpu_percent" },
    { name: "quantile", label: "Quantile", value: "0.999" },
  ],
  no_data: [
    { name: "metric", label: "Metric (left out: anything)", isText: true, isOptional: true },
    { name: "after_s", label: "After seconds", value: "300" },
  ],
};
const SEVERITIES = ["info", "warning", "critical"];

const PREVIEW: readonly Column<Raised>[] = [
  { title: "Device", cell: (alert) => text(alert.device_id) },
  { title: "Raised", cell: (alert) => <Time at={alert.raised_at} /> },
  { title: "Resolved", cell: (alert) => <Time at={alert.resolved_at as string | null} /> },
  { title: "Value", kind: "number", cell: (alert) => reading(alert.value) },
];

type Preview = Awaited<ReturnType<typeof preview>>;
type Raised = Preview["rows"][number];

const preview = (body: Omit<Definition, "watch_id" | "name" | "severity"> & { start: string; end?: string }) =>
  ask(client.POST("/v1/watches/preview", { body: body as never }));

const daysAgo = (days: number): string => new Date(Date.now() - days * 86_400_000).toISOString().slice(0, 10);
const midnight = (day: string): string => `${day}T00:00:00Z`;

function NewWatch({ onDone }: { onDone(): void }) {
  const [kind, setKind] = useState("threshold");
  const [seen, setSeen] = useState<Preview | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [key] = useState(fresh);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const said = Object.fromEntries(new FormData(event.target as HTMLFormElement)) as Record<string, string>;
    const body = { rule: ruleOf(kind, said), device_id: said["device_id"]?.trim() || null };
    const isPreview = event.submitter?.getAttribute("value") === "preview";
    setError(null);
    try {
      if (isPreview) {
        const end = said["end"] ? { end: midnight(said["end"]) } : {};
        setSeen(await preview({ ...body, start: midnight(said["start"] || daysAgo(7)), ...end }));
        return;
      }
      const named = { watch_id: said["watch_id"]?.trim() || key, name: said["name"] ?? "", severity: said["severity"] ?? "" };
      recorded("watch", await command("/v1/commands/fleet/DefineWatch", { ...named, ...body }, key));
      onDone();
    } catch (failure) {
      setSeen(null);
      setError(failure as Error);
    }
  };
  return (
    <Card id="new-watch" title="A new watch" more={<Choice name="watch-kind" label="Kind" of={Object.keys(KINDS)} chosen={kind} onChoose={setKind} />}>
      <form class="fields" onSubmit={submit} key={kind}>
        <Input name="name" label="Name" isText value="" />
        <Input name="watch_id" label="Id (left out: a new one)" isText isOptional />
        <label>
          Severity
          <select name="severity">
            {SEVERITIES.map((severity) => (
              <option key={severity} selected={severity === "warning"}>
                {severity}
              </option>
            ))}
          </select>
        </label>
        <Input name="device_id" label="Device (left out: all)" isText isOptional />
        {(KINDS[kind] ?? []).map((part) => (
          <Input key={part.name} {...part} />
        ))}
        <label>
          Try it from
          <input name="start" type="date" defaultValue={daysAgo(7)} />
        </label>
        <label>
          Until (left out: now)
          <input name="end" type="date" />
        </label>
        <div class="acts">
          <button type="submit" class="quiet" value="preview" formNoValidate>
            Try it over the past
          </button>
          <button type="submit" class="primary" value="define">
            Define
          </button>
        </div>
      </form>
      {error && <Failure of={error} />}
      {seen && <Would have={seen} />}
    </Card>
  );
}

function Would({ have }: { have: Preview }) {
  const looked = have.looked_at;
  return (
    <div id="preview" role="status">
      <p>{`It would have raised ${plural(have.rows.length, "alert")}: ${plural(looked?.devices ?? 0, "device")}, ${plural(looked?.samples ?? 0, "sample")} looked at.`}</p>
      {have.rows.length > 0 && <Table columns={PREVIEW} rows={have.rows} keyOf={(alert) => `${alert.device_id} ${alert.raised_at} ${alert.rule}`} />}
    </div>
  );
}

const Input = ({ name, label, isText = false, value, isOptional = false }: Part) => (
  <label>
    {label}
    <input name={name} type={isText ? "text" : ("number" as "text")} step={isText ? undefined : "any"} required={!isOptional} defaultValue={value} />
  </label>
);

/** What the form says, as a rule: fields that are left out are not said. */
function ruleOf(kind: string, said: Record<string, string>): Rule {
  const parts = (KINDS[kind] ?? []).filter(({ name }) => said[name]);
  const values = parts.map(({ name, isText }) => [name, isText ? said[name] : Number(said[name])] as const);
  return { kind, ...Object.fromEntries(values) } as unknown as Rule;
}
