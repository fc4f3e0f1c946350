// Every decided event: newest first, or those of a stream, a kind, a person or a chain of causes.

import type { Row } from "../api";
import { useAddress, withQuery } from "../address";
import { text } from "../format";
import { EVERYTHING } from "../news";
import { Card, Notice, Time, Top } from "../parts/bits";
import { EndlessTable } from "../parts/EndlessTable";
import { historyOf } from "../parts/History";
import type { Column } from "../parts/Table";

const PAGE = 50;

type Event = Row<"/v1/audit/search">;

const FIELDS = { types: "Type", stream: "Stream", actor: "Who", correlation_id: "Belongs to" } as const;

export function Events() {
  const { query, set } = useAddress();
  const said = Object.fromEntries(Object.keys(FIELDS).map((name) => [name, query[`by_${name}`] ?? ""]));
  const isSearch = Object.values(said).some(Boolean);
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
    set({ ...Object.fromEntries(Object.keys(FIELDS).map((name) => [`by_${name}`, String(form.get(name) ?? "").trim()])), cursor: null });
  };
  const same = { id: "events", columns, categories: [EVERYTHING], keyOf: (event: Event) => String(event.event_id), to };
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
        {isSearch ? (
          <EndlessTable
            {...same}
            question={{ path: "/v1/audit/search", name: JSON.stringify(said), query: () => ({ ...filled(said), start: "1970-01-01", limit: PAGE }) }}
            empty={<Notice>Nothing matches.</Notice>}
          />
        ) : (
          <EndlessTable
            {...same}
            question={{ path: "/v1/audit/events", name: "", query: () => ({ limit: PAGE }) }}
            empty={<Notice>Nothing has happened yet.</Notice>}
          />
        )}
      </Card>
    </>
  );
}

const filled = (said: Record<string, string>) => Object.fromEntries(Object.entries(said).filter(([, value]) => value));
