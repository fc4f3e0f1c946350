// One stream: event by event, and its state as of any version.

import { get } from "./api.js";
import { byId, el, notice, timeOf } from "./dom.js";
import { json, moment } from "./format.js";

const PAGE = 100;

export class History {
  #dialog = byId("history");
  #stream = null;
  #opener = null;
  #events = [];
  #next = null;
  #version = 0;
  #newest = 0;
  #states = new Map();
  #parts = {};

  constructor() {
    this.#dialog.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.close();
    });
  }

  // `version`: the state to show; null means the newest
  async open(stream, version = null) {
    if (!this.#dialog.open) this.#opener = document.activeElement;
    this.#stream = stream;
    this.#events = [];
    this.#next = null;
    this.#newest = 0;
    this.#states = new Map();
    this.#frame();
    if (!this.#dialog.open) this.#dialog.show();
    this.#parts.close.focus();
    await this.#load(version);
  }

  close() {
    this.#dialog.close();
    this.#stream = null;
    if (this.#opener?.isConnected) this.#opener.focus();
  }

  // whoever looks at the newest version goes on to the one that just came
  add(events) {
    const news = events.filter((event) => event.stream === this.#stream && event.version === this.#newest + 1);
    if (!news.length) return;
    const following = this.#version === this.#newest;
    const complete = !this.#next;
    for (const event of news) {
      this.#newest = event.version;
      if (complete) this.#append([event]);
    }
    this.#show(following ? this.#newest : this.#version);
  }

  #frame() {
    const close = el("button", { type: "button", class: "quiet", onclick: () => this.close() }, "Close");
    const slide = () => this.#show(Number(slider.value));
    const step = (by) => () => this.#show(this.#version + by);
    const slider = el("input", { type: "range", min: 1, max: 1, value: 1, id: "as-of", oninput: slide });
    const earlier = el("button", { type: "button", "aria-label": "Earlier version", onclick: step(-1) }, "‹");
    const later = el("button", { type: "button", "aria-label": "Later version", onclick: step(1) }, "›");
    const label = el("label", { for: "as-of" }, "Loading…");
    const state = el("pre", { class: "state", tabindex: "0", "aria-label": "State", "aria-live": "polite" });
    const list = el("ol", { class: "events" });
    const more = el("p", { class: "pager" });
    const title = el("h2", { id: "history-title" }, this.#stream);
    this.#parts = { close, slider, earlier, later, label, state, list, more };
    this.#dialog.replaceChildren(
      el("div", { class: "head" }, title, close),
      el("h3", {}, "State as of a version"),
      el("div", { class: "as-of" }, earlier, slider, later, label),
      state,
      el("h3", {}, "Events"),
      list,
      more,
    );
  }

  async #load(version) {
    const stream = this.#stream;
    try {
      do {
        await this.#loadPage();
        if (stream !== this.#stream) return;
      } while (this.#next && this.#events.length < (version ?? 1));
      await this.#show(version ?? this.#newest);
      if (version) this.#parts.list.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
    } catch (error) {
      if (stream === this.#stream) this.#parts.list.replaceChildren(notice(error.message, "error"));
    }
  }

  async #loadPage() {
    const stream = this.#stream;
    const path = `/v1/audit/streams/${encodeURIComponent(stream)}`;
    const answer = await get(path, { parameters: { limit: PAGE, cursor: this.#next } });
    if (stream !== this.#stream) return;
    this.#next = answer.next;
    this.#newest = answer.version;
    this.#states.set(answer.version, answer.state);
    this.#append(answer.rows);
    const more = el("button", { type: "button", onclick: () => this.#loadPage() }, "Show more");
    this.#parts.more.replaceChildren(...(this.#next ? [more] : []));
  }

  #append(events) {
    this.#events.push(...events);
    this.#parts.list.append(...events.map((event) => this.#item(event)));
  }

  #item(event) {
    const select = () => this.#show(event.version);
    const actor = `${event.actor.type} ${event.actor.id}`;
    return el(
      "li",
      { "data-version": event.version },
      el(
        "button",
        { type: "button", class: "event", onclick: select },
        el("span", { class: "version" }, String(event.version)),
        el("strong", {}, event.type),
        timeOf(event.recorded_at, moment),
      ),
      el("p", { class: "muted" }, `by ${actor}`, ...happened(event)),
      el("pre", { tabindex: "0", "aria-label": `Data of version ${event.version}` }, json(event.data)),
    );
  }

  async #show(version) {
    const stream = this.#stream;
    const wanted = Math.min(Math.max(version, 1), this.#newest);
    this.#version = wanted;
    this.#mark();
    const isWanted = () => stream === this.#stream && wanted === this.#version;
    try {
      const [state, before] = await Promise.all([this.#stateAt(wanted), this.#stateAt(wanted - 1)]);
      if (isWanted()) this.#parts.state.replaceChildren(...lines(state, before));
    } catch (error) {
      if (isWanted()) this.#parts.state.replaceChildren(error.message);
    }
  }

  #mark() {
    const { slider, earlier, later, label, list } = this.#parts;
    slider.max = this.#newest;
    slider.value = this.#version;
    earlier.disabled = this.#version <= 1;
    later.disabled = this.#version >= this.#newest;
    label.textContent = `version ${this.#version} of ${this.#newest}`;
    for (const item of list.children) {
      if (Number(item.dataset.version) === this.#version) item.setAttribute("aria-current", "true");
      else item.removeAttribute("aria-current");
    }
  }

  async #stateAt(version) {
    if (version < 1) return null;
    if (!this.#states.has(version)) {
      const path = `/v1/audit/streams/${encodeURIComponent(this.#stream)}`;
      const { state } = await get(path, { parameters: { as_of: version, limit: 1 } });
      this.#states.set(version, state);
    }
    return this.#states.get(version);
  }
}

function happened(event) {
  if (event.happened_at === event.recorded_at) return [];
  return [", happened ", timeOf(event.happened_at, moment)];
}

// the lines that this version changed are marked
function lines(state, before) {
  if (state === null) return ["No state is kept of this stream."];
  const known = new Set(before ? json(before).split("\n") : json(state).split("\n"));
  return json(state)
    .split("\n")
    .map((line) => el(known.has(line) ? "span" : "mark", {}, `${line}\n`));
}
