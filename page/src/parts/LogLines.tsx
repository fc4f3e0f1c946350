// Log lines of one device or of all, newest first, in the time of the room.

import { useEffect, useRef } from "preact/hooks";

import { ApiError, table, type Row } from "../api";
import { useAddress } from "../address";
import { useAnswer } from "../ask";
import { text } from "../format";
import { useNews } from "../news";
import { instant, keyOf, type Range } from "../range";
import { throttled } from "../throttled";
import { Answered, Notice, Status, Time } from "./bits";
import { Pager } from "./List";
import { Table, type Column } from "./Table";

const PAGE = 100;
const PACE_MS = 2000;
const EVERY_MS = 5000;
const SEVERITIES = ["", "emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"];

type Line = Row<"/v1/logs">;

const COLUMNS: readonly Column<Line>[] = [
  { title: "Happened", cell: (line) => <Time at={line.happened_at} /> },
  { title: "Severity", cell: (line) => <Status of={line.severity} /> },
  { title: "Device", kind: "spare", cell: (line) => text(line.device_id) },
  { title: "Program", kind: "spare", cell: (line) => text(line.program) },
  { title: "What", kind: "what", cell: (line) => text(line.summary) },
];

/** The filters of the address, as questions about lines take them. */
export function useLogFilters() {
  const { query, set } = useAddress();
  const said = { severity: query["severity"] || null, program: query["program"] || null, contains: query["contains"] || null };
  return { said, choose: (change: Record<string, string | null>) => set({ ...change, cursor: null, page: null }) };
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
  const { query } = useAddress();
  const { said } = useLogFilters();
  const cursor = query["cursor"] ?? null;
  const load = async () => {
    const asked = { device_id: device, ...said, ...windowOf(range), limit: PAGE };
    try {
      return await table("/v1/logs", { ...asked, cursor });
    } catch (error) {
      // the pages of an open time are those of another question a moment later
      if (cursor && error instanceof ApiError && error.status === 400) return table("/v1/logs", asked);
      throw error;
    }
  };
  const answer = useAnswer(load, [device, said, keyOf(range), cursor], ["logs"]);
  const soon = useRef(throttled(() => answer.reload(), PACE_MS));
  useNews((events) => {
    const isOurs = events.some(({ type, stream }) => type === "log.recorded" && (!device || stream === `device-${device}`));
    if (isOurs && range.isOpen && !cursor) soon.current();
  });
  useEffect(() => {
    // only the telemetry of one device comes live
    if (device || cursor || !range.isOpen) return;
    const timer = setInterval(() => {
      if (!document.hidden) answer.reload();
    }, EVERY_MS);
    return () => clearInterval(timer);
  }, [device, cursor, range.isOpen]);
  const columns = device ? COLUMNS.filter(({ title }) => title !== "Device") : COLUMNS;
  return (
    <Answered answer={answer}>
      {({ rows, next }) => (
        <>
          {rows.length ? (
            <Table columns={columns} rows={rows} keyOf={(line) => `${line.id} ${line.happened_at}`} />
          ) : (
            <Notice>No log lines in this time. Choose a longer one, or bring in a file: factline import logs FILE.</Notice>
          )}
          <Pager next={next} />
        </>
      )}
    </Answered>
  );
}
