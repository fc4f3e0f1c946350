// Every decided event: newest first, or those of a stream, a kind, a person or a chain of causes.

import { table, type Row } from "../api";
import { useAddress, withQuery } from "../address";
import { useAnswer } from "../ask";
import { text } from "../format";
import { Answered, Card, Notice, Time, Top } from "../parts/bits";
import { historyOf } from "../parts/History";
import { Pager } from "../parts/List";
import { Table, type Column } from "../parts/Table";

const PAGE = 50;

type Event = Row<"/v1/audit/search">;

const FIELDS = { types: "Type", stream: "Stream", actor: "Who", correlation_id: "Belongs to" } as const;

export function Events() {
  const { query, set } = useAddress();
  const said = Object.fromEntries(Object.keys(FIELDS).map((name) => [name, query[`by_${name}`] ?? ""]));
  const isSearch = Object.values(said).some(Boolean);
  const cursor = query["cursor"] ?? null;
  const load = (asked: object) => {
    const { types, stream, actor, correlation_id } = said;
    const page = { limit: PAGE, cursor };
    if (!isSearch) return table("/v1/audit/events", page, {}, asked);
    return table("/v1/audit/search", { types: types || null, stream: stream || null, actor: actor || null, correlation_id: correlation_id || null, start: "1970-01-01", ...page } as never, {}, asked);
  };
  const answer = useAnswer(load, [said, cursor], cursor ? [] : CATEGORIES);
  const to = (event: Event): string => withQuery("/events", { ...query, ...historyOf(String(event.stream), Number(event.version)) });
  const columns: readonly Column<Event>[] = [
    { title: "Event", cell: (event) => text(event.type) },
    { title: "Stream", cell: (event) => `${event.stream} · ${event.version}` },
    { title: "By", kind: "spare", cell: (event) => `${event.actor?.type} ${event.actor?.id}` },
    {
      title: "Belongs to",
      kind: "spare",
      cell: (event) => (
        <a href={withQuery("/events", { by_correlation_id: String(event.correlation_id) })} aria-label={`All of ${event.correlation_id}`}>
          {String(event.correlation_id).slice(-8)}
        </a>
      ),
    },
    { title: "Recorded", kind: "number", cell: (event) => <Time at={event.recorded_at} /> },
  ];
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = new FormData(event.target as HTMLFormElement);
    set({ ...Object.fromEntries(Object.keys(FIELDS).map((name) => [`by_${name}`, String(form.get(name) ?? "").trim()])), cursor: null, page: null });
  };
  return (
    <>
      <Top title="Events" />
      <Card
        id="events"
        title={isSearch ? "Events that match" : "Newest first"}
        more={
          <form class="filters" onSubmit={submit} key={JSON.stringify(said)}>
            {Object.entries(FIELDS).map(([name, label]) => (
              <input key={name} class="words" name={name} aria-label={label} placeholder={label} defaultValue={said[name]} spellcheck={false} />
            ))}
            <button type="submit" class="quiet">
              Search
            </button>
          </form>
        }
      >
        <Answered answer={answer}>
          {({ rows, next }) => (
            <>
              {rows.length ? (
                <Table columns={columns} rows={rows} keyOf={(event) => String(event.event_id)} to={to} />
              ) : (
                <Notice>{isSearch ? "Nothing matches." : "Nothing has happened yet."}</Notice>
              )}
              <Pager next={next} />
            </>
          )}
        </Answered>
      </Card>
    </>
  );
}

const CATEGORIES = ["device", "alert", "watch", "invoice", "lead", "quote", "customer", "content", "task", "workflow", "execution", "user", "organization"];
