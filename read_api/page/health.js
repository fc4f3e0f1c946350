// One line about the system: are its parts well, and do the views know all that the log knows?

import { get } from "./api.js";
import { byId } from "./dom.js";
import { plural } from "./format.js";

export async function showHealth() {
  const line = byId("health");
  try {
    const { rows } = await get("/v1/ops/projections");
    line.textContent = sentence(rows);
    line.classList.toggle("bad", rows.some((row) => row.state !== "live" || row.error || row.parked));
  } catch (error) {
    // the form says it already
    if (error.status === 401) return;
    line.textContent = error.message;
    line.classList.add("bad");
  }
}

function sentence(rows) {
  const said = rows.filter((row) => row.error || row.state !== "live").map((row) => `${row.projection}: ${row.error ?? row.state}`);
  const parked = rows.reduce((sum, row) => sum + row.parked, 0);
  if (parked) said.push(`${plural(parked, "stream")} parked`);
  const unknown = rows.filter((row) => row.lag_events === null);
  const behind = rows.filter((row) => row.lag_events > 0);
  if (unknown.length) {
    said.push(`how far ${plural(unknown.length, "view")} are behind is not known`);
  } else if (behind.length) {
    const most = Math.max(...behind.map((row) => row.lag_events));
    said.push(`${plural(behind.length, "view")} up to ${plural(most, "event")} behind the log`);
  } else {
    said.push(`all ${plural(rows.length, "view")} up to date with the log`);
  }
  return said.join(" · ");
}
