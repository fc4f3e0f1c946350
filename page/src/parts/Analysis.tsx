// What the analytics answer to one question, grouped as one chooses, as a table.

import { useState } from "preact/hooks";

import { table, type Query, type Row, type TablePath } from "../api";
import { useAnswer } from "../ask";
import { text } from "../format";
import { Answered, Card, Choice, Notice } from "./bits";
import { Table, type Column } from "./Table";

interface Props<P extends TablePath> {
  id: string;
  title: string;
  path: P;
  /** What it can be grouped by. */
  by: readonly [string, ...string[]];
  columns: readonly Column<Row<P>>[];
  categories: readonly string[];
  empty: string;
}

export function Analysis<P extends TablePath>({ id, title, path, by, columns, categories, empty }: Props<P>) {
  const [chosen, choose] = useState(by[0]);
  const answer = useAnswer((asked) => table(path, { by: chosen } as unknown as Query<P>, {}, asked), [path, chosen], categories);
  const group: Column<Row<P>> = { title: chosen.replace(/^./, (letter) => letter.toUpperCase()), cell: (row) => text(row[chosen]) };
  return (
    <Card id={id} title={title} more={<Choice name={`by-${id}`} label="by" of={by} chosen={chosen} onChoose={choose} />}>
      <Answered answer={answer}>
        {({ rows }) => (rows.length ? <Table columns={[group, ...columns]} rows={rows} keyOf={(row) => JSON.stringify(row)} /> : <Notice>{empty}</Notice>)}
      </Answered>
    </Card>
  );
}
