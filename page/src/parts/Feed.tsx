// The newest decided events: the last few from the audit trail, then each as it is recorded.

import { useEffect, useRef, useState } from "preact/hooks";
import { useLocation } from "preact-iso";

import { table } from "../api";
import { withQuery } from "../address";
import { useAnswer } from "../ask";
import { short } from "../format";
import type { Recorded } from "../live";
import { useNews } from "../news";
import { Failure, Notice, Time } from "./bits";
import { historyOf } from "./History";
import { Table, type Column } from "./Table";

const FIRST = 20;
const MOST = 200;

type Known = Recorded & { isNew: boolean };

const COLUMNS: readonly Column<Known>[] = [
  {
    title: "Event and stream",
    cell: (event) => (
      <span>
        {event.type}
        <small>{event.stream}</small>
      </span>
    ),
  },
  { title: "Recorded", kind: "number", cell: (event) => <Time at={event.recorded_at} as={short} /> },
];

const place = (event: Recorded): number => Number(event.position.split("/")[2]?.split("@")[0]);

export function Feed() {
  const { path, query } = useLocation();
  const [events, setEvents] = useState<readonly Known[]>([]);
  const { data, error, reload } = useAnswer((asked) => table("/v1/audit/events", { limit: FIRST }, {}, asked), [], ["feed"]);
  const waiting = useRef<Known[]>([]);
  const take = (more: readonly Recorded[], isNew: boolean): void => {
    // what comes in bursts is drawn once for each frame
    if (!waiting.current.length) requestAnimationFrame(show);
    waiting.current.push(...more.map((event) => ({ ...event, isNew })));
  };
  const show = (): void => {
    const news = waiting.current;
    waiting.current = [];
    setEvents((before) => {
      const known = new Map([...news, ...before].map((event) => [event.position, event]));
      return [...known.values()].sort((one, other) => place(other) - place(one)).slice(0, MOST);
    });
  };
  useEffect(() => {
    if (data) take(data.rows as unknown as Recorded[], false);
  }, [data]);
  useNews((news) => {
    const decided = news.filter(({ position }) => position.startsWith("events"));
    if (decided.length) take(decided, true);
  });
  if (!events.length) return error ? <Failure of={error} retry={reload} /> : <Notice>{data ? "Nothing has happened yet." : "Loading…"}</Notice>;
  return (
    <div class="feed" tabIndex={0} role="group" aria-label="Newest events, to scroll">
      <Table
        columns={COLUMNS}
        rows={events}
        keyOf={(event) => event.position}
        to={(event) => withQuery(path, { ...query, ...historyOf(event.stream, event.version) })}
        isNew={(event) => event.isNew}
      />
    </div>
  );
}
