// Log lines of all devices: how many of whom, and the lines themselves.

import { table } from "../api";
import { useAddress } from "../address";
import { useAnswer } from "../ask";
import { count } from "../format";
import { Answered, Card, Choice, Notice, Top } from "../parts/bits";
import { Bars, type Bar } from "../parts/Bars";
import { Droppable } from "../parts/Droppable";
import { LogFilters, LogLines, useLogFilters, windowOf } from "../parts/LogLines";
import { RangePicker } from "../parts/RangePicker";
import { keyOf, useRange, type Range } from "../range";
import { may } from "../session";
import { mayImport } from "./Import";

const USUAL = "24h";
const WAYS = ["hour", "day", "program", "device", "severity", "user", "ip"] as const;

export function Logs() {
  const range = useRange(USUAL);
  return (
    <>
      <Top title="Logs">
        {mayImport("logs") && <Droppable kind="logs" />}
        <RangePicker usual={USUAL} />
      </Top>
      {may("logs:read") && <Counts range={range} />}
      <Card id="logs" title="Lines" more={<LogFilters />}>
        <LogLines range={range} />
      </Card>
    </>
  );
}

function Counts({ range }: { range: Range }) {
  const { query, set } = useAddress();
  const { said } = useLogFilters();
  const by = WAYS.find((way) => way === query["by"]) ?? "hour";
  const load = async () => {
    const { rows, ...more } = await table("/v1/analytics/logs", { by, ...said, ...windowOf(range), limit: 200 });
    const bars = rows.map((row): Bar => {
      const lines = Number(row.lines);
      return { name: String(row[by] ?? ""), of: "", length: lines, value: String(lines), shown: count(lines) };
    });
    return { bars, data: more["data"] as { first: string; last: string } | null | undefined };
  };
  const answer = useAnswer(load, [by, said, keyOf(range)], ["logs"]);
  return (
    <Card
      id="log-counts"
      title="Numbers of lines"
      more={<Choice name="log-by" label="by" of={WAYS} chosen={by} onChoose={(chosen) => set({ by: chosen })} />}
    >
      <Answered answer={answer}>
        {({ bars, data }) =>
          bars.length ? (
            <Bars key={by} by={by} what="lines" rows={bars} shown={12} newestLast={by === "hour" || by === "day"} />
          ) : (
            <Notice>No lines in this time{data ? `: data goes from ${data.first.slice(0, 10)} to ${data.last.slice(0, 10)}` : ""}.</Notice>
          )
        }
      </Answered>
    </Card>
  );
}
