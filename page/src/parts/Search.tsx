// Ctrl-K: to a room, to a device, an alert, an invoice, a lead, a text, or to the history of a stream.

import { useEffect, useRef, useState } from "preact/hooks";
import { useLocation } from "preact-iso";

import { table } from "../api";
import { withQuery } from "../address";
import { text } from "../format";
import { ROOMS } from "../rooms";
import { may, mayAudit } from "../session";
import { historyOf } from "./History";

export const FIND = "factline.find";

const WAIT_MS = 150;
const FEW = 5;
const WORD = /[\p{L}\p{N}]/u;
const STREAM = /^[a-z_]+-\S+$/;

interface Found {
  to: string;
  name: string;
  kind: string;
}

export function Search() {
  const { path, query, route } = useLocation();
  const dialog = useRef<HTMLDialogElement>(null);
  const list = useRef<HTMLUListElement>(null);
  const [words, setWords] = useState("");
  const [found, setFound] = useState<readonly Found[]>([]);
  useEffect(() => {
    const open = (): void => {
      setWords("");
      dialog.current?.showModal();
    };
    const key = (event: KeyboardEvent): void => {
      if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "k") return;
      event.preventDefault();
      open();
    };
    addEventListener("keydown", key);
    addEventListener(FIND, open);
    return () => {
      removeEventListener("keydown", key);
      removeEventListener(FIND, open);
    };
  }, []);
  useEffect(() => {
    let isWanted = true;
    const stream = mayAudit() && STREAM.test(words) ? [{ to: withQuery(path, { ...query, ...historyOf(words) }), name: words, kind: "history" }] : [];
    const near = [...stream, ...rooms(words)];
    setFound(near);
    if (!WORD.test(words)) return;
    const timer = setTimeout(async () => {
      const things = await look(words);
      if (isWanted) setFound([...things, ...near]);
    }, WAIT_MS);
    return () => {
      isWanted = false;
      clearTimeout(timer);
    };
  }, [words]);
  const close = (): void => dialog.current?.close();
  const go = (event: SubmitEvent): void => {
    event.preventDefault();
    const [first] = found;
    if (!first) return;
    close();
    route(first.to);
  };
  const move = (event: KeyboardEvent): void => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (!step) return;
    event.preventDefault();
    const links = [...(list.current?.querySelectorAll("a") ?? [])];
    links[links.indexOf(document.activeElement as HTMLAnchorElement) + step]?.focus();
  };
  return (
    <dialog id="search" ref={dialog} aria-label="Find" onKeyDown={move}>
      <form onSubmit={go}>
        <input
          type="search"
          aria-label="What to find"
          placeholder="A device, an invoice, a lead, a room, a stream"
          value={words}
          onInput={(event) => setWords(event.currentTarget.value.trim())}
          autocomplete="off"
          spellcheck={false}
        />
      </form>
      <ul ref={list} aria-label="Found">
        {found.map(({ to, name, kind }) => (
          <li key={`${kind} ${to}`}>
            <a href={to} onClick={close}>
              <span>{name}</span>
              <span class="muted">{kind}</span>
            </a>
          </li>
        ))}
      </ul>
    </dialog>
  );
}

const rooms = (words: string): Found[] =>
  ROOMS.filter(({ scopes, title }) => (!scopes.length || may(...scopes)) && title.toLowerCase().includes(words.toLowerCase())).map(
    ({ path, title }) => ({ to: path, name: title, kind: "room" }),
  );

type Kind = readonly [scope: string, path: "/v1/devices", room: string, kind: string, name: string];

const KINDS = [
  ["devices:read", "/v1/devices", "/devices", "device", "hostname"],
  ["invoices:read", "/v1/invoices", "/invoices", "invoice", "number"],
  ["leads:read", "/v1/leads", "/leads", "lead", "company"],
  ["watches:read", "/v1/watches", "/watches", "watch", "name"],
  ["content:read", "/v1/content", "/content", "content", "title"],
] as unknown as readonly Kind[];

/** Asks every list that knows words; one that fails is left out. */
async function look(q: string): Promise<Found[]> {
  const asked = KINDS.filter(([scope]) => may(scope)).map(async ([, path, room, kind, name]) => {
    const { rows } = await table(path, { q, limit: FEW });
    return rows.map((row): Found => ({ to: `${room}/${encodeURIComponent(String(row.id))}`, name: text(row[name] ?? row.id), kind }));
  });
  const answers = await Promise.allSettled(asked);
  return answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
}
