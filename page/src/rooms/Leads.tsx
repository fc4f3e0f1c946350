// Leads as a board: a column for each step of the way, the best first.

import { useRoute } from "preact-iso";

import { command, fresh, table, type Body, type Row } from "../api";
import { useAnswer } from "../ask";
import { count, text } from "../format";
import { Act, type Field } from "../parts/Act";
import { Analysis } from "../parts/Analysis";
import { Answered, Status, Top } from "../parts/bits";
import type { Column } from "../parts/Table";
import { Thing } from "../parts/Thing";
import { may } from "../session";

const STEPS = ["new", "contacted", "qualified", "quoted", "converted", "lost"] as const;
const MOST = 50;
const KINDS = ["call", "email", "meeting", "note"] as const;
const REASON: readonly Field[] = [{ name: "reason", label: "Why", isOptional: true }];

type Lead = Row<"/v1/leads">;

export function Leads() {
  return (
    <>
      <Top title="Leads">{may("sales:write") && <Capture />}</Top>
      <div class="steps">
        {STEPS.map((step) => (
          <Step key={step} of={step} />
        ))}
      </div>
      {may("analytics:read") && (
        <Analysis
          id="funnel"
          title="How far leads came"
          path="/v1/analytics/funnel"
          by={["source", "month"]}
          columns={FUNNEL}
          categories={["lead"]}
          empty="No lead was captured yet."
        />
      )}
    </>
  );
}

const PERCENT = 100;

const FUNNEL: readonly Column<Row<"/v1/analytics/funnel">>[] = [
  { title: "Captured", kind: "number", cell: (row) => count(Number(row.captured ?? 0)) },
  { title: "Contacted", kind: "number spare", cell: (row) => count(Number(row.contacted ?? 0)) },
  { title: "Qualified", kind: "number spare", cell: (row) => count(Number(row.qualified ?? 0)) },
  { title: "Quoted", kind: "number spare", cell: (row) => count(Number(row.quoted ?? 0)) },
  { title: "Customers", kind: "number", cell: (row) => count(Number(row.converted ?? 0)) },
  { title: "Lost", kind: "number", cell: (row) => count(Number(row.lost ?? 0)) },
  { title: "Of all", kind: "number", cell: (row) => (typeof row.conversion_rate === "number" ? `${Math.round(row.conversion_rate * PERCENT)} %` : "–") },
];

function Step({ of }: { of: (typeof STEPS)[number] }) {
  const answer = useAnswer((asked) => table("/v1/leads", { status: [of], sort: "-score", limit: MOST }, {}, asked), [of], ["lead"]);
  const title = `step-${of}`;
  return (
    <section aria-labelledby={title} id={`leads-${of}`}>
      <h2 id={title}>
        <Status of={of} /> {answer.data && <span class="muted">{`${count(answer.data.rows.length)}${answer.data.next ? "+" : ""}`}</span>}
      </h2>
      <Answered answer={answer}>
        {({ rows }) => (
          <>
            {rows.map((lead) => (
              <a key={lead.id} class="lead" href={`/leads/${encodeURIComponent(String(lead.id))}`}>
                <strong>{text(lead.company ?? lead.id)}</strong>
                <span class="muted">{[lead["source"], lead["assigned_to"]].filter(Boolean).join(" · ")}</span>
                <span>
                  {lead.tier ? <Status of={lead.tier} /> : null} {lead.score === undefined || lead.score === null ? "" : String(lead.score)}
                </span>
              </a>
            ))}
          </>
        )}
      </Answered>
    </section>
  );
}

const CONTACT: readonly Field[] = [
  { name: "company", label: "Company", isOptional: true },
  { name: "contact_name", label: "Name", isOptional: true },
  { name: "email", label: "E-mail", isOptional: true },
  { name: "phone", label: "Telephone", isOptional: true },
  { name: "industry", label: "Industry", isOptional: true },
];

const contact = ({ company, contact_name, email, phone, industry }: Record<string, string>) => ({
  company: company || null,
  contact_name: contact_name || null,
  email: email || null,
  phone: phone || null,
  industry: industry || null,
});

const Capture = () => (
  <Act
    label="Capture"
    title="Capture a lead"
    category="lead"
    fields={[{ name: "source", label: "Source", value: "website" }, ...CONTACT]}
    run={(said, key) => command("/v1/commands/sales/CaptureLead", { lead_id: fresh(), source: said["source"] ?? "", ...contact(said) }, key)}
  />
);

export function LeadRoom() {
  const id = useRoute().params["id"] ?? "";
  return (
    <Thing
      path="/v1/leads/{id}"
      id={id}
      category="lead"
      title={(lead) => String(lead.company ?? id)}
      acts={may("sales:write") ? (lead) => <Acts lead={lead as Lead} id={id} /> : undefined}
    />
  );
}

function Acts({ lead, id }: { lead: Lead; id: string }) {
  const step = lead.status;
  const isOver = step === "converted" || step === "lost";
  if (isOver) return null;
  return (
    <>
      <Act
        label="Log activity"
        category="lead"
        fields={[
          { name: "kind", label: "Kind", kind: "choice", values: KINDS },
          { name: "note", label: "Note", isOptional: true },
        ]}
        run={({ kind, note = "" }, key) =>
          command("/v1/commands/sales/LogActivity", { lead_id: id, kind: kind as (typeof KINDS)[number], note }, key)
        }
      />
      <Act
        label="Assign"
        category="lead"
        fields={[{ name: "to", label: "To whom" }, ...REASON]}
        run={({ to = "", reason = "" }, key) => command("/v1/commands/sales/AssignLead", { lead_id: id, to, reason }, key)}
      />
      <Act
        label="Enrich"
        category="lead"
        fields={CONTACT.map((field) => ({ ...field, value: String(lead[field.name] ?? "") }))}
        run={(said, key) => command("/v1/commands/sales/EnrichLead", { lead_id: id, ...contact(said) }, key)}
      />
      {(step === "new" || step === "contacted") && (
        <Act
          label="Qualify"
          category="lead"
          kind="primary"
          fields={[{ name: "note", label: "Note", isOptional: true }]}
          run={({ note = "" }, key) => command("/v1/commands/sales/QualifyLead", { lead_id: id, note }, key)}
        />
      )}
      {step === "qualified" && <Draft lead_id={id} />}
      <Act
        label="Score"
        title="Score this lead"
        category="lead"
        fields={[{ name: "similarity", label: "How much it is like those who bought, of 100", kind: "number", value: "0" }]}
        run={({ similarity = "0" }, key) => command("/v1/commands/sales/ScoreLead", { lead_id: id, similarity: Number(similarity) }, key)}
      />
      {!lead["assigned_to"] && (
        <Act
          label="Route"
          title="Give this lead to whom it suits best"
          category="lead"
          run={(_, key) => command("/v1/commands/sales/RouteLead", { lead_id: id }, key)}
        />
      )}
      {(step === "qualified" || step === "quoted") && (
        <Act
          label="Convert"
          title="This lead is a customer now"
          category="lead"
          fields={[{ name: "customer_id", label: "Id of the customer (left out: a new one)", isOptional: true }]}
          run={({ customer_id }, key) => command("/v1/commands/sales/ConvertLead", { lead_id: id, customer_id: customer_id || key }, key)}
        />
      )}
      <Act
        label="Lose"
        title="This lead is lost"
        category="lead"
        fields={REASON}
        run={({ reason = "" }, key) => command("/v1/commands/sales/LoseLead", { lead_id: id, reason }, key)}
      />
    </>
  );
}

/** A quote of one line for a lead. */
const Draft = ({ lead_id }: { lead_id: string }) => (
  <Act
    label="Draft quote"
    title="Draft a quote"
    category="quote"
    kind="primary"
    fields={[
      { name: "quote_id", label: "Id", value: fresh() },
      { name: "product", label: "Product" },
      { name: "quantity", label: "Quantity", value: "1" },
      { name: "unit_price", label: "Price of one" },
      { name: "currency", label: "Currency", value: "EUR" },
    ]}
    run={({ quote_id = "", product = "", quantity = "", unit_price = "", currency = "" }, key) => {
      const body: Body<"/v1/commands/sales/DraftQuote"> = { quote_id, lead_id, currency, lines: [{ product, quantity, unit_price }] };
      return command("/v1/commands/sales/DraftQuote", body, key);
    }}
  />
);
