// Revenue by time, country or product.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";

import { table, type Asked } from "../api";
import { useAnswer } from "../ask";
import { amount, plural } from "../format";
import { Answered, Card, Choice } from "./bits";
import { Bars, type Bar } from "./Bars";

type By = "month" | "day" | "country" | "product" | "customer";

interface Props {
  id: string;
  title: string;
  choices: readonly [By, ...By[]];
  shown: number;
  newestLast?: boolean;
  empty: ComponentChildren;
}

export function Revenue({ id, title, choices, shown, newestLast = false, empty }: Props) {
  const [by, setBy] = useState<By>(choices[0]);
  const load = async (asked: Asked) => {
    const { rows } = await table("/v1/analytics/revenue", { by }, {}, asked);
    return rows.map((row): Bar => {
      const revenue = String(row.revenue);
      const hint = `${plural(row.invoices ?? 0, "document")}, ${plural(row.lines ?? 0, "line")}`;
      return { name: String(row[by] ?? ""), of: String(row.currency), length: Number(revenue), value: revenue, shown: amount(revenue), hint };
    });
  };
  const answer = useAnswer(load, [by], ["invoice"]);
  const choose = (value: string): void => setBy(choices.find((one) => one === value) ?? choices[0]);
  return (
    <Card id={id} title={title} more={<Choice name={`by-${id}`} label="by" of={choices} chosen={by} onChoose={choose} />}>
      <Answered answer={answer}>
        {(rows) => (rows.length ? <Bars key={by} by={by} what="revenue" rows={rows} shown={shown} newestLast={newestLast} /> : empty)}
      </Answered>
    </Card>
  );
}
