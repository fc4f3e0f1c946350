// What is recorded, as it is recorded. EventSource cannot send a key, so the stream is read with fetch.

import { ApiError, failed, send, type Json } from "./api";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;
// the server speaks every 15 s: a stream that is silent for longer has lost its other end
const SILENCE_MS = 40_000;

export interface Recorded {
  position: string;
  stream: string;
  version: number;
  type: string;
  happened_at: string;
  recorded_at: string;
  actor: { type: string; id: string };
  data: { [field: string]: Json };
  [more: string]: Json;
}

/** What is said and not recorded, like the words of a model while they come. */
export interface Said {
  type: string;
  stream: string;
  data: { [field: string]: Json };
}

interface Message {
  id: string | null;
  /** What kind of message it is, "" of what is recorded. */
  event: string;
  data: string;
}

/** Takes text in pieces of any size; gives whole messages. Source: HTML Living Standard, server-sent events. */
export class Messages {
  #rest = "";

  *read(text: string): Generator<Message> {
    const blocks = (this.#rest + text).split("\n\n");
    this.#rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const message: Message = { id: null, event: "", data: "" };
      for (const line of block.split("\n")) {
        if (line.startsWith("id: ")) message.id = line.slice(4);
        if (line.startsWith("event: ")) message.event = line.slice(7);
        if (line.startsWith("data: ")) message.data += line.slice(6);
      }
      yield message;
    }
  }
}

interface Told {
  onEvents(events: Recorded[]): void;
  onSaid?(message: Said): void;
  onState?(state: "live" | "reconnecting", detail?: string): void;
}

export class Live {
  #lastId: string | null = null;
  #stopping: AbortController | null = null;
  #told: Told;
  /** What is wanted, as the address says it. */
  #wanted: Readonly<Record<string, string>>;

  constructor(told: Told, wanted: Readonly<Record<string, string>> = {}) {
    this.#told = told;
    this.#wanted = wanted;
  }

  start(): void {
    if (this.#stopping) return;
    this.#stopping = new AbortController();
    void this.#follow(this.#stopping.signal);
  }

  /** What happens until the next start is not told. */
  stop(): void {
    this.#close();
    this.#lastId = null;
  }

  /** Of telemetry, only this device's is sent: others may report faster than a page can draw. */
  follow(deviceId: string | null): void {
    if (this.#wanted["telemetry"] === (deviceId ?? undefined)) return;
    this.#wanted = deviceId === null ? {} : { telemetry: deviceId };
    if (!this.#stopping) return;
    this.#close();
    this.start();
  }

  #close(): void {
    this.#stopping?.abort();
    this.#stopping = null;
  }

  async #follow(stopping: AbortSignal): Promise<void> {
    let wait = FIRST_WAIT_MS;
    while (!stopping.aborted) {
      try {
        await this.#read(stopping, () => {
          wait = FIRST_WAIT_MS;
        });
      } catch (error) {
        const status = error instanceof ApiError ? error.status : 0;
        if (stopping.aborted || status === 401) return;
        // positions of another log: begin at the end of this one
        if (status === 400 || status === 409) this.#lastId = null;
        this.#told.onState?.("reconnecting", error instanceof Error ? error.message : "");
        if (status === 403) return;
      }
      await new Promise((resolve) => setTimeout(resolve, wait * (0.75 + Math.random() / 2)));
      wait = Math.min(wait * 2, LONGEST_WAIT_MS);
    }
  }

  async #read(stopping: AbortSignal, onOpen: () => void): Promise<void> {
    const silence = new AbortController();
    const url = new URL(`/v1/live?${new URLSearchParams(this.#wanted)}`, location.origin);
    const headers: HeadersInit = this.#lastId ? { "Last-Event-ID": this.#lastId } : {};
    const response = await send(new Request(url, { headers, signal: AbortSignal.any([stopping, silence.signal]) }));
    if (!response.ok) throw failed(response.status, await response.json().catch(() => null));
    onOpen();
    this.#told.onState?.("live");
    const messages = new Messages();
    const chunks = (response.body as ReadableStream<BufferSource>).pipeThrough(new TextDecoderStream()).getReader();
    let watch: ReturnType<typeof setTimeout> | undefined;
    try {
      for (;;) {
        watch = setTimeout(() => silence.abort(), SILENCE_MS);
        const { value, done } = await chunks.read();
        clearTimeout(watch);
        if (done) break;
        this.#take([...messages.read(value)]);
      }
    } finally {
      clearTimeout(watch);
    }
    throw new ApiError(0, "the server ended the stream");
  }

  #take(messages: Message[]): void {
    for (const message of messages.filter(({ event, data }) => event && data)) this.#told.onSaid?.(JSON.parse(message.data) as Said);
    const events = messages.filter(({ event, data }) => !event && data).map((message) => JSON.parse(message.data) as Recorded);
    if (events.length) this.#told.onEvents(events);
    this.#lastId = messages.findLast((message) => message.id)?.id ?? this.#lastId;
  }
}
