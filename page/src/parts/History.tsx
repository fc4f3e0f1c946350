// One stream beside the room: event by event, and its state as of any version. The address says which one is open.

import { useEffect, useRef, useState } from "preact/hooks";

import { table, type Json, type Table } from "../api";
import { useAddress } from "../address";
import { json, moment } from "../format";
import type { Recorded } from "../live";
import { useNews } from "../news";
import { Failure, Time } from "./bits";

const PAGE = 100;

/** The address of a stream's history, over the room that one is in. */
export const historyOf = (stream: string, version?: number): Record<string, string | null> => ({
  stream,
  version: version === undefined ? null : String(version),
});

export function HistoryPanel() {
  const { query, set } = useAddress();
  const opener = useRef<Element | null>(null);
  const stream = query["stream"];
  // before the panel takes the focus
  if (stream) opener.current ??= document.activeElement;
  useEffect(() => {
    if (stream) return;
    if (opener.current instanceof HTMLElement && opener.current.isConnected) opener.current.focus();
    opener.current = null;
  }, [stream]);
  if (!stream) return null;
  const close = (): void => set({ stream: null, version: null });
  const wanted = Number(query["version"]) || null;
  return <History key={stream} stream={stream} wanted={wanted} onClose={close} />;
}

/** Reads one stream page by page, and remembers the states it was told. */
class Stream {
  events: Recorded[] = [];
  next: string | null = null;
  newest = 0;
  #states = new Map<number, Json>();

  constructor(readonly name: string) {}

  async more(): Promise<void> {
    const answer = await this.#ask({ limit: PAGE, cursor: this.next });
    this.next = answer.next;
    this.newest = answer["version"] as number;
    this.#states.set(this.newest, answer["state"] as Json);
    this.events = [...this.events, ...(answer.rows as unknown as Recorded[])];
  }

  /** Takes what happened since; tells if it did. */
  add(events: readonly Recorded[]): boolean {
    const before = this.newest;
    const isComplete = !this.next;
    for (const event of events) {
      if (event.stream !== this.name || event.version !== this.newest + 1) continue;
      this.newest = event.version;
      if (isComplete) this.events = [...this.events, event];
    }
    return this.newest > before;
  }

  async stateAt(version: number): Promise<Json> {
    if (version < 1) return null;
    if (!this.#states.has(version)) {
      const answer = await this.#ask({ as_of: String(version), limit: 1 });
      this.#states.set(version, answer["state"] as Json);
    }
    return this.#states.get(version);
  }

  #ask(query: { as_of?: string; limit: number; cursor?: string | null }): Promise<Table<unknown>> {
    return table("/v1/audit/streams/{stream}", query, { stream: this.name });
  }
}

interface Props {
  stream: string;
  wanted: number | null;
  onClose(): void;
}

function History({ stream: name, wanted, onClose }: Props) {
  const [stream] = useState(() => new Stream(name));
  const [version, setVersion] = useState(0);
  const [, redraw] = useState(0);
  const [error, setError] = useState<Error | null>(null);
  const close = useRef<HTMLButtonElement>(null);
  const show = (to: number): void => setVersion(Math.min(Math.max(to, 1), stream.newest));
  const load = async (): Promise<void> => {
    setError(null);
    try {
      do await stream.more();
      while (stream.next && stream.events.length < (wanted ?? 1));
      show(wanted ?? stream.newest);
    } catch (failure) {
      setError(failure as Error);
    }
  };
  const more = async (): Promise<void> => {
    await stream.more();
    redraw((turn) => turn + 1);
  };
  useEffect(() => {
    close.current?.focus();
    void load();
  }, []);
  // another event of the same stream was chosen
  useEffect(() => {
    if (stream.newest) show(wanted ?? stream.newest);
  }, [wanted]);
  useNews((events) => {
    const isFollowing = version === stream.newest;
    if (!version || !stream.add(events)) return;
    // whoever looks at the newest version goes on to the one that just came
    if (isFollowing) show(stream.newest);
    redraw((turn) => turn + 1);
  });
  useEffect(() => {
    const key = (event: KeyboardEvent): void => {
      if (event.key === "Escape" && !document.querySelector("dialog:modal")) onClose();
    };
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, [onClose]);
  return (
    <dialog id="history" open aria-labelledby="history-title">
      <div class="head">
        <h2 id="history-title">{name}</h2>
        <button type="button" class="quiet" ref={close} onClick={onClose}>
          Close
        </button>
      </div>
      <h3>State as of a version</h3>
      <div class="as-of">
        <button type="button" aria-label="Earlier version" disabled={version <= 1} onClick={() => show(version - 1)}>
          ‹
        </button>
        <input
          type="range"
          id="as-of"
          min={1}
          max={Math.max(stream.newest, 1)}
          value={version}
          onInput={(event) => show(Number(event.currentTarget.value))}
        />
        <button type="button" aria-label="Later version" disabled={version >= stream.newest} onClick={() => show(version + 1)}>
          ›
        </button>
        <label for="as-of">{version ? `version ${version} of ${stream.newest}` : "Loading…"}</label>
      </div>
      {error ? <Failure of={error} retry={load} /> : <State stream={stream} version={version} />}
      <h3>Events</h3>
      <ol class="events">
        {stream.events.map((event) => (
          <Happened key={event.version} event={event} isCurrent={event.version === version} isWanted={event.version === wanted} onSelect={() => show(event.version)} />
        ))}
      </ol>
      {stream.next && (
        <p class="pager">
          <button type="button" onClick={more}>
            Show more
          </button>
        </p>
      )}
    </dialog>
  );
}

function State({ stream, version }: { stream: Stream; version: number }) {
  const [shown, setShown] = useState<[Json, Json] | Error | null>(null);
  useEffect(() => {
    if (!version) return;
    let isWanted = true;
    Promise.all([stream.stateAt(version), stream.stateAt(version - 1)]).then(
      (states) => isWanted && setShown(states),
      (error: Error) => isWanted && setShown(error),
    );
    return () => {
      isWanted = false;
    };
  }, [version]);
  return (
    <pre class="state" tabIndex={0} aria-label="State" aria-live="polite">
      {shown instanceof Error ? shown.message : shown && <Lines state={shown[0]} before={shown[1]} />}
    </pre>
  );
}

/** The lines that this version changed are marked. */
function Lines({ state, before }: { state: Json; before: Json }) {
  if (state === null || state === undefined) return <>No state is kept of this stream.</>;
  const lines = json(state).split("\n");
  const known = new Set(before ? json(before).split("\n") : lines);
  return <>{lines.map((line, index) => (known.has(line) ? <span key={index}>{`${line}\n`}</span> : <mark key={index}>{`${line}\n`}</mark>))}</>;
}

interface HappenedProps {
  event: Recorded;
  isCurrent: boolean;
  /** The address names it. */
  isWanted: boolean;
  onSelect(): void;
}

function Happened({ event, isCurrent, isWanted, onSelect }: HappenedProps) {
  const item = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (isWanted) item.current?.scrollIntoView({ block: "nearest" });
  }, [isWanted]);
  return (
    <li ref={item} data-version={event.version} aria-current={isCurrent ? "true" : undefined}>
      <button type="button" class="event" onClick={onSelect}>
        <span class="version">{event.version}</span>
        <strong>{event.type}</strong>
        <Time at={event.recorded_at} as={moment} />
      </button>
      <p class="muted">
        by {event.actor.type} {event.actor.id}
        {event.happened_at !== event.recorded_at && (
          <>
            , happened <Time at={event.happened_at} as={moment} />
          </>
        )}
      </p>
      <pre tabIndex={0} aria-label={`Data of version ${event.version}`}>
        {json(event.data)}
      </pre>
    </li>
  );
}
