// A table of one of the API's lists: filters, pages, and rows that open something.

import { get } from "./api.js";
import { el, notice } from "./dom.js";

const AGAIN_MS = 2000;

// The whole row can be clicked; the button in its first cell is for the keyboard and for screen readers.
export function rowOf(columns, item, onOpen, current = false) {
  const cells = columns.map(({ cell, kind }, index) => {
    const content = cell(item);
    const inside = index === 0 ? el("button", { type: "button", class: "row" }, content) : content;
    return el("td", { class: kind }, inside);
  });
  return el("tr", { onclick: () => onOpen(item), "aria-current": current ? "true" : null }, ...cells);
}

export function tableOf(columns, rows) {
  const heads = columns.map(({ title, kind }) => el("th", { scope: "col", class: kind }, title));
  return el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...rows)));
}

export class List {
  rows = [];
  #cursors = [null];
  #filters = {};
  #asked = 0;
  #body = el("div", {}, notice("Loading…"));
  #options;

  // { path, limit, columns, filters: {field: label}, empty, onOpen(row), isCurrent(row), onRows() }
  constructor(section, options) {
    this.#options = options;
    if (options.filters) section.append(el("div", { class: "filters" }, ...this.#selects()));
    section.append(this.#body);
  }

  // `position`: wait until the answer includes it. Shape: an answer that comes after a newer question is not shown.
  async load(position = null) {
    const asked = ++this.#asked;
    try {
      const { rows, next } = await get(this.#options.path, {
        parameters: { ...this.#filters, limit: this.#options.limit, cursor: this.#cursors.at(-1) },
        headers: position ? { "X-Consistent-With": position } : {},
      });
      if (asked !== this.#asked) return;
      this.rows = rows;
      this.#show(next);
      await this.#options.onRows?.();
    } catch (error) {
      if (asked === this.#asked) this.#failed(error);
    }
  }

  // Draws the same rows again.
  redraw() {
    this.#show(this.next);
  }

  #failed(error) {
    // what is there may be old, but it is better than nothing; the connection's badge says so
    if (!this.rows.length) this.#body.replaceChildren(notice(error.message, "error"));
    if (error.status === 503) setTimeout(() => this.load(), AGAIN_MS);
  }

  #show(next) {
    this.next = next;
    const focused = [...this.#body.querySelectorAll("button")].indexOf(document.activeElement);
    this.#body.replaceChildren(this.#content(), ...this.#pager(next));
    if (focused >= 0) this.#body.querySelectorAll("button")[focused]?.focus();
  }

  #content() {
    const { columns, empty, onOpen, isCurrent } = this.#options;
    if (this.rows.length) return tableOf(columns, this.rows.map((row) => rowOf(columns, row, onOpen, isCurrent?.(row))));
    return Object.values(this.#filters).some(Boolean) ? notice("Nothing matches the filter.") : empty();
  }

  #pager(next) {
    if (!next && this.#cursors.length === 1) return [];
    const turn = (change) => () => {
      change();
      this.load();
    };
    const back = turn(() => this.#cursors.pop());
    const on = turn(() => this.#cursors.push(next));
    return [
      el(
        "p",
        { class: "pager" },
        el("button", { type: "button", onclick: back, disabled: this.#cursors.length === 1 }, "Previous"),
        el("span", {}, `Page ${this.#cursors.length}`),
        el("button", { type: "button", onclick: on, disabled: !next }, "Next"),
      ),
    ];
  }

  #selects() {
    this.selects = {};
    return Object.entries(this.#options.filters).map(([field, label]) => {
      const choose = (event) => {
        this.#filters[field] = event.target.value;
        this.#cursors = [null];
        this.load();
      };
      this.selects[field] = el("select", { name: field, onchange: choose }, el("option", { value: "" }, "all"));
      return el("label", {}, `${label} `, this.selects[field]);
    });
  }

  // Fills the filters with the values there are.
  async loadFilters() {
    const { rows } = await get(`${this.#options.path}/_filters`);
    for (const [field, select] of Object.entries(this.selects)) {
      const options = rows
        .filter((row) => row.field === field && row.value)
        .map((row) => el("option", { value: row.value }, `${row.value} (${row.count})`));
      const chosen = select.value;
      select.replaceChildren(el("option", { value: "" }, "all"), ...options);
      select.value = chosen;
    }
  }
}
