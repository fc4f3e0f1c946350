// Revenue as bars in a table: the bar is for the eye, the amount is the API's own text.

import { get } from "./api.js";
import { el, notice } from "./dom.js";
import { amount, count, plural } from "./format.js";

const AGAIN_MS = 2000;

export class Revenue {
  #by;
  #rows = null;
  #all = false;
  #body = el("div", {}, notice("Loading…"));
  #section;
  #options;

  // { title, choices: ["month", "day"], shown, newestLast, empty }
  constructor(section, options) {
    this.#section = section;
    this.#options = options;
    [this.#by] = options.choices;
    section.append(el("div", { class: "head" }, el("h2", {}, options.title), this.#choice()), this.#body);
  }

  async load(position = null) {
    const by = this.#by;
    try {
      const { rows } = await get("/v1/analytics/revenue", {
        parameters: { by },
        headers: position ? { "X-Consistent-With": position } : {},
      });
      if (by !== this.#by) return;
      this.#rows = rows;
      this.#show();
    } catch (error) {
      if (!this.#rows) this.#body.replaceChildren(notice(error.message, "error"));
      if (error.status === 503) setTimeout(() => this.load(), AGAIN_MS);
    }
  }

  #choice() {
    const radios = this.#options.choices.map((by) => {
      const choose = () => {
        this.#by = by;
        this.#all = false;
        this.load();
      };
      const name = `by-${this.#section.id}`;
      return el("label", {}, el("input", { type: "radio", name, value: by, checked: by === this.#by, onchange: choose }), by);
    });
    return el("fieldset", { class: "choice" }, el("legend", { class: "hidden" }, "by"), ...radios);
  }

  #show() {
    if (!this.#rows.length) {
      this.#body.replaceChildren(this.#options.empty());
      return;
    }
    const shown = this.#shown();
    // a bar compares amounts of one currency only
    const greatest = {};
    for (const row of shown) {
      greatest[row.currency] = Math.max(greatest[row.currency] ?? Number.MIN_VALUE, Math.abs(Number(row.revenue)));
    }
    const heads = [
      el("th", { scope: "col" }, this.#by),
      el("th", { scope: "col", class: "wide" }, el("span", { class: "hidden" }, "bar")),
      el("th", { scope: "col", class: "number" }, "revenue"),
    ];
    const rows = shown.map((row) => this.#row(row, greatest[row.currency]));
    const table = el("table", { class: "bars" }, el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...rows));
    this.#body.replaceChildren(table, ...this.#more());
  }

  #shown() {
    const { shown, newestLast } = this.#options;
    if (this.#all || this.#rows.length <= shown) return this.#rows;
    return newestLast ? this.#rows.slice(-shown) : this.#rows.slice(0, shown);
  }

  #row(row, greatest) {
    const revenue = Number(row.revenue);
    const bar = el("i", { class: revenue < 0 ? "bar negative" : "bar" });
    bar.style.width = `${(100 * Math.abs(revenue)) / greatest}%`;
    return el(
      "tr",
      { title: `${plural(row.invoices, "document")}, ${plural(row.lines, "line")}` },
      el("th", { scope: "row" }, row[this.#by] || "unknown"),
      el("td", { class: "wide" }, bar),
      el("td", { class: "number" }, el("data", { value: row.revenue }, amount(row.revenue)), ` ${row.currency}`),
    );
  }

  #more() {
    if (this.#rows.length <= this.#options.shown) return [];
    const toggle = () => {
      this.#all = !this.#all;
      this.#show();
    };
    const text = this.#all ? "Show less" : `Show all ${count(this.#rows.length)}`;
    return [el("p", { class: "pager" }, el("button", { type: "button", onclick: toggle }, text))];
  }
}
