// Files are checked and imported by the server, which says line by line how far it is.

import { signal } from "@preact/signals";

import { failed, send } from "./api";

export const KINDS = ["invoices", "metrics", "logs"] as const;
export type Kind = (typeof KINDS)[number];

/** What was dropped on another room, on its way to the room of imports. */
export const dropped = signal<readonly File[]>([]);

export interface Refused {
  line: number;
  reason: string;
}

export interface Result {
  rows_read: number;
  accepted: number;
  repeated: number;
  refused: number;
  without_an_answer: number;
  latest: string | null;
  reasons: { reason: string; rows: number; first: string }[];
  notes: string[];
  problem: string | null;
}

interface Told {
  done?: number;
  total?: number;
  refused?: Refused;
  result?: Result;
}

export interface Progress {
  done: number;
  total: number;
  refused: readonly Refused[];
}

let turn: Promise<unknown> = Promise.resolve();

/** Sends a file once those before it are done: a tenant has one at a time. Throws ApiError. */
export function take(kind: Kind, file: File, said: Record<string, string>, tell: (progress: Progress) => void): Promise<Result> {
  const mine = turn.then(() => sent(kind, file, said, tell));
  turn = mine.catch(() => undefined);
  return mine;
}

async function sent(kind: Kind, file: File, said: Record<string, string>, tell: (progress: Progress) => void): Promise<Result> {
  const query = new URLSearchParams(Object.entries(said).filter(([, value]) => value !== ""));
  const url = new URL(`/v1/import/${kind}?${query}`, location.origin);
  const response = await send(new Request(url, { method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" } }));
  if (!response.ok) throw failed(response.status, await response.json().catch(() => null));
  let progress: Progress = { done: 0, total: 0, refused: [] };
  let result: Result | null = null;
  await lines(response, (told: Told) => {
    if (told.refused) progress = { ...progress, refused: [...progress.refused, told.refused] };
    if (told.total !== undefined) progress = { ...progress, done: told.done ?? 0, total: told.total };
    result = told.result ?? result;
    tell(progress);
  });
  if (!result) throw new Error("the connection ended before the import did: it goes on; send the file again to see how it went");
  return result;
}

/** Reads an answer of a JSON object a line, as it comes. */
export async function lines<T>(response: Response, tell: (line: T) => void): Promise<void> {
  const chunks = (response.body as ReadableStream<BufferSource>).pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await chunks.read();
    if (done) return;
    const found = (rest + value).split("\n");
    rest = found.pop() ?? "";
    for (const line of found.filter(Boolean)) tell(JSON.parse(line) as T);
  }
}
