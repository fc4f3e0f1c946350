// One line about the system: are its parts well, and do the views know all that the log knows?

import { useEffect } from "preact/hooks";

import { table, type Row } from "../api";
import { useAnswer } from "../ask";
import { plural } from "../format";

const EVERY_MS = 10_000;

type Projection = Row<"/v1/ops/projections">;

export function Health() {
  const { data, error, reload } = useAnswer((asked) => table("/v1/ops/projections", {}, {}, asked), []);
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) reload();
    }, EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  const isBad = Boolean(error) || (data?.rows ?? []).some((row) => row.state !== "live" || row.error || row.parked);
  return (
    <p id="health" role="status" class={isBad ? "bad" : undefined}>
      {error ? error.message : data ? sentence(data.rows) : ""}
    </p>
  );
}

function sentence(rows: readonly Projection[]): string {
  const said = rows.filter((row) => row.error || row.state !== "live").map((row) => `${row.projection}: ${row.error ?? row.state}`);
  const parked = rows.reduce((sum, row) => sum + (row.parked ?? 0), 0);
  if (parked) said.push(`${plural(parked, "stream")} parked`);
  const unknown = rows.filter((row) => typeof row.lag_events !== "number");
  const behind = rows.map((row) => row.lag_events ?? 0).filter((lag) => lag > 0);
  if (unknown.length) {
    said.push(`how far ${plural(unknown.length, "view")} are behind is not known`);
  } else if (behind.length) {
    said.push(`${plural(behind.length, "view")} up to ${plural(Math.max(...behind), "event")} behind the log`);
  } else {
    said.push(`all ${plural(rows.length, "view")} up to date with the log`);
  }
  return said.join(" · ");
}
