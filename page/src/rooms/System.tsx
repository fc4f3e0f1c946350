// How the views follow the log, and what they could not take. The operator rebuilds and verifies here.

import { useState } from "preact/hooks";

import { ask, client, command, failed, send, table, type Row } from "../api";
import { useAnswer } from "../ask";
import { lines } from "../imports";
import { count, text, words } from "../format";
import { Act } from "../parts/Act";
import { Answered, Card, Notice, Status, Time, Top } from "../parts/bits";
import { again } from "../news";
import { EndlessTable } from "../parts/EndlessTable";
import { List } from "../parts/List";
import { Table, type Column } from "../parts/Table";
import { isOperator, may } from "../session";
import { Tenants } from "./Tenants";

type Projection = Row<"/v1/ops/projections">;
type Letter = Row<"/v1/ops/dead-letters">;
type Process = Row<"/v1/processes">;

const COLUMNS: readonly Column<Projection>[] = [
  { title: "View", cell: (row) => text(row.projection) },
  { title: "Store", kind: "spare", cell: (row) => text(row.role) },
  { title: "State", cell: (row) => <Status of={row.error ? "error" : row.state} /> },
  { title: "Behind", kind: "number", cell: (row) => (typeof row.lag_events === "number" ? count(row.lag_events) : "not known") },
  { title: "Seconds", kind: "number spare", cell: (row) => (typeof row.lag_s === "number" ? row.lag_s.toFixed(1) : "–") },
  { title: "Parked", kind: "number", cell: (row) => count(row.parked_records ?? 0) },
  { title: "Live build", kind: "spare", cell: (row) => text(row.live) },
];

export function System() {
  const { data } = useAnswer((asked) => table("/v1/ops/lag", {}, {}, asked), []);
  const answer = useAnswer((asked) => table("/v1/ops/projections", {}, {}, asked), [], ["ops"]);
  const jobs: Column<Projection> = { title: "What to do", kind: "acts", cell: (row) => <Jobs of={row} /> };
  return (
    <>
      <Top title="System">
        <button type="button" class="quiet" onClick={again}>
          Ask again
        </button>
      </Top>
      <Card id="projections" title="Views">
        <Answered answer={answer}>
          {({ rows }) => <Table columns={isOperator() ? [...COLUMNS, jobs] : COLUMNS} rows={rows} keyOf={(row) => String(row.projection)} />}
        </Answered>
      </Card>
      <Card id="workers" title="Workers">
        <Workers of={(data?.["workers"] ?? []) as Worker[]} />
      </Card>
      <Letters />
      {may("processes:read") && (
        <List
          id="processes"
          title="Processes"
          path="/v1/processes"
          columns={PROCESSES}
          categories={[]}
          isShort
          empty={<Notice>No process runs: each begins with an event that it waits for.</Notice>}
        />
      )}
      {isOperator() && <Tenants />}
    </>
  );
}

interface Worker {
  worker: string;
  running: number;
  lag_events: number | null;
  error: string | null;
}

const WORKERS: readonly Column<Worker>[] = [
  { title: "Worker", cell: (worker) => worker.worker },
  { title: "Running", kind: "number", cell: (worker) => count(worker.running) },
  { title: "Behind", kind: "number", cell: (worker) => (worker.lag_events === null ? "not known" : count(worker.lag_events)) },
  { title: "Error", kind: "what", cell: (worker) => text(worker.error) },
];

const Workers = ({ of }: { of: readonly Worker[] }) =>
  of.length ? <Table columns={WORKERS} rows={of} keyOf={(worker) => worker.worker} /> : <Notice>No workers beside the views.</Notice>;

const PROCESSES: readonly Column<Process>[] = [
  { title: "Process", cell: (one) => words(one.name) },
  { title: "Of", cell: (one) => text(one.instance) },
  { title: "State", cell: (one) => <Status of={one.state} /> },
  { title: "Waits for", kind: "spare", cell: (one) => text(one["next_timer"]) },
  { title: "Until", kind: "number", cell: (one) => <Time at={one.next_due_at} /> },
  { title: "Went wrong last", kind: "what spare", cell: (one) => text(one["last_error"]) },
  {
    title: "What to do",
    kind: "acts",
    cell: (one) =>
      may("operations:write") &&
      (String(one["next_timer"] ?? "").startsWith("retry~") || String(one["last_error"] ?? "").endsWith(", given up")) && (
        <Act
          label="Try again now"
          title="Show the process again what its code failed on"
          category="process_retry"
          fields={[]}
          run={(_, key) => command("/v1/commands/operations/RetryProcess", { process: String(one.id) }, key)}
        />
      ),
  },
];

const LETTERS: readonly Column<Letter>[] = [
  { title: "View", cell: (letter) => text(letter.view) },
  { title: "Stream", cell: (letter) => text(letter.stream) },
  { title: "Event", kind: "spare", cell: (letter) => text(letter.type) },
  { title: "Why", kind: "what", cell: (letter) => text(letter.reason) },
  { title: "Parked", kind: "number", cell: (letter) => <Time at={letter.parked_at} /> },
];

const Letters = () => (
  <Card id="dead-letters" title="Dead letters">
    <EndlessTable
      id="dead-letters"
      question={{ path: "/v1/ops/dead-letters", name: "", query: () => ({ limit: 50 }) }}
      columns={LETTERS}
      categories={["ops"]}
      keyOf={(letter) => `${letter.view} ${letter.position}`}
      isLasting={false}
      empty={<Notice>Every record was taken.</Notice>}
    />
  </Card>
);

function Jobs({ of }: { of: Projection }) {
  const name = String(of.projection);
  const [said, setSaid] = useState("");
  // another one is there while it is built, and after a rebuild the one before
  const builds = (of.builds ?? []).filter((build): build is string => build !== of.live && build !== null);
  const job = (what: string) => async () => {
    setSaid("begun");
    void follow(`/v1/operator/projections/${encodeURIComponent(name)}/${what}`, setSaid);
    return null;
  };
  return (
    <>
      {said && <span class="muted" role="status">{`${said} `}</span>}
      <Act label="Verify" title={`Compare ${name} with the log`} category="ops" run={job("verify")} />
      <Act label="Rebuild" title={`Build ${name} anew and switch to it`} category="ops" run={job("rebuild")} />
      {builds.map((build) => (
        <span key={build}>
          <Act label={`Answer from ${build}`} category="ops" run={job(`builds/${numberOf(build)}/switch`)} />
          <Act
            label={`Remove ${build}`}
            category="ops"
            run={async () => {
              await ask(client.DELETE("/v1/operator/projections/{name}/builds/{build}", { params: { path: { name, build: numberOf(build) } } }));
              return null;
            }}
          />
        </span>
      ))}
      {Boolean(of.parked) && (
        <Act
          label="Go on without"
          title={`${name} goes on without ${count(of.parked_records ?? 0)} parked records`}
          category="ops"
          run={async () => {
            const { discarded } = await ask(client.POST("/v1/operator/projections/{name}/dead-letters/discard", { params: { path: { name } } }));
            setSaid(`${discarded} discarded`);
            return null;
          }}
        >
          <p class="muted">Its rows stay without them until it is rebuilt.</p>
        </Act>
      )}
      {Boolean(of.parked) && (
        <Act
          label="Retry"
          title={`Try the parked records of ${name} again`}
          category="ops"
          run={async () => {
            const path = { params: { path: { name } } };
            const { taken, still_parked } = await ask(client.POST("/v1/operator/projections/{name}/dead-letters/retry", path));
            setSaid(`${taken} taken, ${still_parked} still parked`);
            return null;
          }}
        />
      )}
    </>
  );
}

/** devices_v2 -> 2 */
const numberOf = (build: string): number => Number(build.slice(build.lastIndexOf("_v") + 2));

/** Reads the progress of a job, line by line; the job goes on where nobody reads. */
async function follow(path: string, say: (text: string) => void): Promise<void> {
  try {
    const response = await send(new Request(new URL(path, location.origin), { method: "POST" }));
    if (!response.ok) throw failed(response.status, await response.json().catch(() => null));
    await lines(response, (line: Record<string, unknown>) => say(progress(line)));
    again();
  } catch (error) {
    say((error as Error).message);
  }
}

interface Verdict {
  rows: number;
  differences: number;
  dead_letters: number;
}

function progress(line: Record<string, unknown>): string {
  if (typeof line["done"] === "number") return `${count(line["done"])} of ${count(Number(line["total"]))}`;
  const result = line["result"] ?? line["error"];
  if (typeof result !== "object" || result === null) return String(result);
  const { rows, differences, dead_letters } = result as Verdict;
  const parked = dead_letters ? `, ${count(dead_letters)} records parked` : "";
  return differences ? `${count(differences)} of ${count(rows)} rows differ from the log${parked}` : `all ${count(rows)} rows equal the log${parked}`;
}
