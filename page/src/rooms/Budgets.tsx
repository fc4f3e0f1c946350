// Budgets: what may be spent in a period, what is spent, and up to what amount invoices approve themselves.

import { command, type Body, type Row } from "../api";
import { amount, text, words } from "../format";
import { Act } from "../parts/Act";
import { Notice, Status, Top } from "../parts/bits";
import { List } from "../parts/List";
import type { Column } from "../parts/Table";
import { may } from "../session";

type Budget = Row<"/v1/budgets">;
type Limit = Row<"/v1/approval_limits">;

const PERIODS = ["month", "quarter", "year"] as const;
type Period = (typeof PERIODS)[number];

/** The spent part of a budget; more than all of it is told by the colour, and by the word beside it. */
function Spent({ of }: { of: Budget }) {
  if (!of.last_period) return <span class="muted">nothing yet</span>;
  const part = Number(of.last_spent) / Number(of.amount);
  const isOver = part > 1;
  return (
    <span class="spent" title={`${of.last_period}: ${amount(of.last_spent)} of ${amount(of.amount)} ${of.currency}`}>
      <i class="track">
        <i class={isOver ? "stripe negative" : "stripe"} style={{ width: `${Math.min(100, 100 * part)}%` }} />
      </i>
      {`${amount(of.last_spent)} in ${of.last_period}`}
      {isOver && <Status of="exceeded" />}
    </span>
  );
}

const COLUMNS: readonly Column<Budget>[] = [
  { title: "Category", sort: "category", cell: (budget) => text(budget.category) },
  { title: "Spent", cell: (budget) => <Spent of={budget} /> },
  { title: "May be spent", kind: "number", cell: (budget) => `${amount(budget.amount)} ${budget.currency}` },
  { title: "In each", kind: "spare", cell: (budget) => words(budget.period) },
  { title: "Exceeded in", kind: "spare", cell: (budget) => text(budget["exceeded_in"]) },
  {
    title: "What to do",
    kind: "acts",
    cell: (budget) => may("finance:write") && <SetBudget label="Change" of={budget} />,
  },
];

const LIMITS: readonly Column<Limit>[] = [
  { title: "Currency", cell: (limit) => text(limit.currency) },
  { title: "Approved up to", kind: "number", cell: (limit) => (limit.limit ? `${amount(limit.limit)} ${limit.currency}` : "none") },
];

export function Budgets() {
  return (
    <>
      <Top title="Budgets">{may("finance:write") && <SetBudget label="Set a budget" kind="primary" />}</Top>
      <List
        id="budgets"
        title="All budgets"
        path="/v1/budgets"
        columns={COLUMNS}
        categories={["budget"]}
        filters={{ currency: "Currency" }}
        empty={<Notice>No budgets yet. Set one for a category: incoming invoices of it count as spent once they are approved.</Notice>}
      />
      {may("invoices:read") && (
        <List
          id="approval-limits"
          title="Invoices that are approved by themselves"
          path="/v1/approval_limits"
          columns={LIMITS}
          categories={["approval_limits"]}
          isShort
          more={may("finance:write") && <SetLimit />}
          empty={<Notice>None: every incoming invoice waits for a person.</Notice>}
        />
      )}
    </>
  );
}

function SetBudget({ label, kind = "quiet", of }: { label: string; kind?: "quiet" | "primary"; of?: Budget }) {
  const run = ({ category = "", currency = "", amount: said = "", period = "month" }: Record<string, string>, key: string) => {
    const body: Body<"/v1/commands/finance/SetBudget"> = { category, currency, amount: said, period: period as Period };
    return command("/v1/commands/finance/SetBudget", of?.["timezone"] ? { ...body, timezone: String(of["timezone"]) } : body, key);
  };
  return (
    <Act
      label={label}
      title={of ? `Change the budget of ${of.category}` : "Set a budget"}
      category="budget"
      kind={kind}
      fields={[
        { name: "category", label: "Category of invoices", value: String(of?.category ?? "") },
        { name: "currency", label: "Currency", value: String(of?.currency ?? "EUR") },
        { name: "amount", label: "May be spent", value: of ? amountOf(of.amount) : "" },
        { name: "period", label: "In each", kind: "choice", values: PERIODS, value: String(of?.period ?? "month") },
      ]}
      run={run}
    />
  );
}

const amountOf = (value: unknown): string => String(value).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");

const SetLimit = () => (
  <Act
    label="Set the limit"
    title="Approve invoices up to an amount by themselves"
    category="approval_limits"
    fields={[
      { name: "currency", label: "Currency", value: "EUR" },
      { name: "limit", label: "Up to (left out: none are)", isOptional: true },
    ]}
    run={({ currency = "", limit }, key) => command("/v1/commands/finance/SetApprovalLimit", { currency, limit: limit || null }, key)}
  />
);
