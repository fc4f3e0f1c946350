// The newest decided events: the last few from the audit trail, then each as it is recorded.

import { get } from "./api.js";
import { el, notice, timeOf } from "./dom.js";
import { short } from "./format.js";
import { rowOf, tableOf } from "./list.js";

const FIRST = 20;
const MOST = 200;

const COLUMNS = [
  { title: "Event and stream", cell: (event) => el("span", {}, event.type, el("small", {}, event.stream)) },
  { title: "Recorded", kind: "number", cell: (event) => timeOf(event.recorded_at, short) },
];

const place = (event) => Number(event.position.split("/")[2]);

export class Events {
  #events = [];
  #rows = new Map();
  #waiting = [];
  #body = el("div", { class: "feed" }, notice("Loading…"));
  #onOpen;

  constructor(section, onOpen) {
    this.#onOpen = onOpen;
    section.append(this.#body);
  }

  async load() {
    try {
      this.add((await get("/v1/audit/events", { parameters: { limit: FIRST } })).rows, { isNew: false });
    } catch (error) {
      if (!this.#events.length) this.#body.replaceChildren(notice(error.message, "error"));
    }
  }

  // what comes in bursts is drawn once for each frame
  add(events, { isNew = true } = {}) {
    if (!this.#waiting.length) requestAnimationFrame(() => this.#take());
    this.#waiting.push(...events.map((event) => ({ ...event, isNew })));
    if (!events.length) this.#take();
  }

  #take() {
    const known = new Map([...this.#waiting, ...this.#events].map((event) => [event.position, event]));
    this.#waiting = [];
    this.#events = [...known.values()].sort((one, other) => place(other) - place(one)).slice(0, MOST);
    this.#show();
  }

  // rows that are there stay the same elements: the one that has the focus keeps it
  #show() {
    if (!this.#events.length) {
      this.#body.replaceChildren(notice("Nothing has happened yet."));
      return;
    }
    const before = this.#rows;
    this.#rows = new Map(this.#events.map((event) => [event.position, before.get(event.position) ?? this.#row(event)]));
    if (!this.#body.querySelector("table")) this.#body.replaceChildren(tableOf(COLUMNS, []));
    const body = this.#body.querySelector("tbody");
    for (const row of [...body.children]) if (![...this.#rows.values()].includes(row)) row.remove();
    [...this.#rows.values()].forEach((row, index) => {
      if (body.children[index] !== row) body.insertBefore(row, body.children[index] ?? null);
    });
  }

  #row(event) {
    const row = rowOf(COLUMNS, event, this.#onOpen);
    row.classList.toggle("new", event.isNew);
    return row;
  }
}
