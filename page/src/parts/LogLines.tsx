// Log lines of one device or of all, newest first, in the time of the room.

import { useEffect, useRef, useState } from "preact/hooks";

import type { Row } from "../api";
import { useAddress } from "../address";
import { json, text, words } from "../format";
import { recorded, useNews } from "../news";
import { instant, keyOf, type Range } from "../range";
import { throttled } from "../throttled";
import { Facts, Notice, Status, Time } from "./bits";
import { EndlessTable } from "./EndlessTable";
import type { Column } from "./Table";

const PAGE = 100;
/** New lines: their numbers are counted less often than they come. */
const LINES = "lines";
const PACE_MS = 2000;
const EVERY_MS = 5000;
const SEVERITIES = ["", "emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"];

type Line = Row<"/v1/logs">;

const COLUMNS: readonly Column<Line>[] = [
  { title: "Happened", cell: (line) => <Time at={line.happened_at} /> },
  { title: "Severity", cell: (line) => <Status of={line.severity} /> },
  { title: "Device", kind: "spare", cell: (line) => text(line.device_id) },
  { title: "Program", kind: "spare", cell: (line) => text(line.program) },
];

/** The filters of the address, as questions about lines take them. */
export function useLogFilters() {
  const { query, set } = useAddress();
  const said = { severity: query["severity"] || null, program: query["program"] || null, contains: query["contains"] || null };
  return { said, choose: (change: Record<string, string | null>) => set({ ...change, cursor: null }) };
}

export const windowOf = (range: Range) => ({
  start: instant(range.start()),
  ...(range.isOpen ? {} : { end: instant(range.end()) }),
});

export function LogFilters() {
  const { said, choose } = useLogFilters();
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = new FormData(event.target as HTMLFormElement);
    choose({ contains: String(form.get("contains")), program: String(form.get("program")) });
  };
  return (
    <form class="filters" onSubmit={submit} key={`${said.contains} ${said.program}`}>
      <label>
        Severity{" "}
        <select name="severity" value={said.severity ?? ""} onChange={(event) => choose({ severity: event.currentTarget.value })}>
          {SEVERITIES.map((severity) => (
            <option key={severity} value={severity}>
              {severity || "all"}
            </option>
          ))}
        </select>
      </label>
      <input class="words" name="program" aria-label="Program" placeholder="Program" defaultValue={said.program ?? ""} />
      <input class="words" name="contains" aria-label="Part of the line" placeholder="Part of the line" defaultValue={said.contains ?? ""} />
      <button type="submit" class="quiet">
        Search
      </button>
    </form>
  );
}

export function LogLines({ device = null, range }: { device?: string | null; range: Range }) {
  const { said } = useLogFilters();
  const [opened, open] = useState<Line | null>(null);
  const soon = useRef(throttled(() => recorded(LINES, null), PACE_MS));
  useNews((events) => {
    const isOurs = events.some(({ type, stream }) => type === "log.recorded" && (!device || stream === `device-${device}`));
    if (isOurs && range.isOpen) soon.current();
  });
  useEffect(() => {
    // only the telemetry of one device comes live
    if (device || !range.isOpen) return;
    const timer = setInterval(() => {
      if (!document.hidden) recorded(LINES, null);
    }, EVERY_MS);
    return () => clearInterval(timer);
  }, [device, range.isOpen]);
  const columns = [...(device ? COLUMNS.filter(({ title }) => title !== "Device") : COLUMNS), lineColumn(open)];
  return (
    <>
      <EndlessTable
        id="logs"
        question={{
          path: "/v1/logs",
          name: JSON.stringify([device, said, keyOf(range)]),
          query: () => ({ device_id: device, ...said, ...windowOf(range), limit: PAGE }),
        }}
        columns={columns}
        categories={["logs", LINES]}
        keyOf={(line) => `${line.id} ${line.happened_at}`}
        isLasting={!range.isOpen}
        empty={<Notice>No log lines in this time. Choose a longer one, or drop a file on the room Logs.</Notice>}
      />
      {opened && <WholeLine of={opened} onClose={() => open(null)} />}
    </>
  );
}

/** A line may be longer than a row is wide: a press shows all that is known of it. */
const lineColumn = (open: (line: Line) => void): Column<Line> => ({
  title: "What",
  kind: "what line",
  cell: (line) => (
    <button type="button" class="row" onClick={() => open(line)}>
      {text(line.summary)}
    </button>
  ),
});

function WholeLine({ of, onClose }: { of: Line; onClose(): void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const known = Object.entries(of).filter(([name, value]) => name !== "summary" && value !== null && value !== "");
  return (
    <dialog ref={dialog} class="act" aria-label="Log line" onClose={onClose}>
      <form method="dialog">
        <h2>Log line</h2>
        <pre class="once" tabIndex={0} aria-label="What">
          {text(of.summary)}
        </pre>
        <Facts of={known.map(([name, value]) => [words(name), typeof value === "object" ? json(value) : String(value)] as const)} />
        <div class="acts">
          <button type="submit" class="primary">
            Close
          </button>
        </div>
      </form>
    </dialog>
  );
}
