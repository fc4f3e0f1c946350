// What is recorded, as it is recorded. EventSource cannot send a key, so the stream is read with fetch.

import { request } from "./api.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;
// the server speaks every 15 s: a stream that is silent for longer has lost its other end
const SILENCE_MS = 40_000;

// Takes text in pieces of any size; gives whole messages. Source: HTML Living Standard, server-sent events.
export class Messages {
  #rest = "";

  *read(text) {
    const blocks = (this.#rest + text).split("\n\n");
    this.#rest = blocks.pop();
    for (const block of blocks) {
      const message = { id: null, data: "" };
      for (const line of block.split("\n")) {
        if (line.startsWith("id: ")) message.id = line.slice(4);
        if (line.startsWith("data: ")) message.data += line.slice(6);
      }
      yield message;
    }
  }
}

// onEvents(list of envelopes), onState("live" | "reconnecting", detail)
export class Live {
  #lastId = null;
  #stopping = null;
  #telemetryOf = null;
  #onEvents;
  #onState;

  constructor({ onEvents, onState }) {
    this.#onEvents = onEvents;
    this.#onState = onState;
  }

  start() {
    if (this.#stopping) return;
    this.#stopping = new AbortController();
    this.#follow(this.#stopping.signal);
  }

  // What happens until the next start is not told.
  stop() {
    this.#close();
    this.#lastId = null;
  }

  // Of telemetry, only this device's is sent: others may report faster than a page can draw.
  follow(deviceId) {
    if (this.#telemetryOf === deviceId) return;
    this.#telemetryOf = deviceId;
    if (!this.#stopping) return;
    this.#close();
    this.start();
  }

  #close() {
    this.#stopping?.abort();
    this.#stopping = null;
  }

  async #follow(stopping) {
    let wait = FIRST_WAIT_MS;
    while (!stopping.aborted) {
      try {
        await this.#read(stopping, () => {
          wait = FIRST_WAIT_MS;
        });
      } catch (error) {
        if (stopping.aborted || error.status === 401) return;
        // positions of another log: begin at the end of this one
        if (error.status === 400 || error.status === 409) this.#lastId = null;
        this.#onState("reconnecting", error.message);
        if (error.status === 403) return;
      }
      await new Promise((resolve) => setTimeout(resolve, wait * (0.75 + Math.random() / 2)));
      wait = Math.min(wait * 2, LONGEST_WAIT_MS);
    }
  }

  async #read(stopping, onOpen) {
    const silence = new AbortController();
    const signal = AbortSignal.any([stopping, silence.signal]);
    const response = await request("/v1/live", {
      parameters: { telemetry: this.#telemetryOf },
      headers: this.#lastId ? { "Last-Event-ID": this.#lastId } : {},
      signal,
    });
    onOpen();
    this.#onState("live");
    const messages = new Messages();
    const chunks = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let watch = null;
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
    throw new Error("the server ended the stream");
  }

  #take(messages) {
    const events = messages.filter((message) => message.data).map((message) => JSON.parse(message.data));
    if (events.length) this.#onEvents(events);
    this.#lastId = messages.findLast((message) => message.id)?.id ?? this.#lastId;
  }
}
