// One invoice as a document, with what may be done to it.

import { useRoute } from "preact-iso";

import { command, fresh, table, type Body, type Row } from "../api";
import { useAddress } from "../address";
import { useAnswer } from "../ask";
import { amount, day, json, text, words } from "../format";
import { Act, type Field } from "../parts/Act";
import { Answered, Card, Facts, Notice, Status, Time, Top } from "../parts/bits";
import { historyOf } from "../parts/History";
import { Table, type Column } from "../parts/Table";
import { may, mayAudit } from "../session";

type Document = Row<"/v1/invoices/{id}/document">;
type Line = NonNullable<NonNullable<Document["lines"]>[number]> & { description?: string | null; dated_at?: string | null };
type Payment = NonNullable<NonNullable<Document["payments"]>[number]> & { method?: string; reference?: string; refunded?: string };

const LINES: readonly Column<Line>[] = [
  { title: "Line", cell: (line) => String(line.line) },
  { title: "Product", cell: (line) => text(line.product) },
  { title: "Description", kind: "what spare", cell: (line) => text(line.description) },
  { title: "Quantity", kind: "number", cell: (line) => amount(line.quantity, 0) },
  { title: "Price", kind: "number", cell: (line) => amount(line.unit_price) },
  { title: "Amount", kind: "number", cell: (line) => amount(line.amount) },
];

const REASON: readonly Field[] = [{ name: "reason", label: "Why", isOptional: true }];

export function Invoice() {
  const id = useRoute().params["id"] ?? "";
  const { set } = useAddress();
  const answer = useAnswer(
    async (asked) => (await table("/v1/invoices/{id}/document", {}, { id }, asked)).rows[0] ?? null,
    [id],
    ["invoice"],
  );
  return (
    <Answered answer={answer}>
      {(invoice) =>
        invoice && (
          <>
            <Top title={`${words(invoice["kind"] ?? "invoice").replace(/^./, (letter) => letter.toUpperCase())} ${invoice.number}`}>
              {may("finance:write") && <Acts invoice={invoice} />}
              {mayAudit() && (
                <button type="button" class="quiet" onClick={() => set(historyOf(`invoice-${id}`))}>
                  History
                </button>
              )}
            </Top>
            <Card id="invoice" title="Document">
              <Facts
                of={[
                  [invoice["direction"] === "in" ? "Supplier" : "Customer", text(invoice["party"])],
                  ["Status", <Status of={invoice.status} />],
                  ["Issued", <Time at={invoice["issue_date"]} as={day} />],
                  ["Due", <Time at={invoice.due_date} as={day} />],
                  ["Country", text(invoice["country"])],
                  ["Net", money(invoice["net"], invoice)],
                  ["Tax", money(invoice["tax"], invoice)],
                  ["Total", money(invoice.total, invoice)],
                  ["Paid", money(invoice.paid_total, invoice)],
                  ["Open", <strong>{money(invoice.open, invoice)}</strong>],
                ]}
              />
            </Card>
            <Card id="lines" title="Lines">
              <Table columns={LINES} rows={(invoice.lines ?? []) as Line[]} keyOf={(line) => String(line.line)} />
            </Card>
            <Card id="payments" title="Payments">
              {invoice.payments?.length ? (
                <Table
                  columns={may("finance:write") ? [...paymentColumns(invoice), refunds(invoice)] : paymentColumns(invoice)}
                  rows={invoice.payments as Payment[]}
                  keyOf={(payment) => String(payment.payment_id)}
                />
              ) : (
                <Notice>Nothing is paid yet.</Notice>
              )}
            </Card>
          </>
        )
      }
    </Answered>
  );
}

const money = (value: unknown, { currency }: Document): string => `${amount(value as string)} ${currency}`;

const paymentColumns = (invoice: Document): readonly Column<Payment>[] => [
  { title: "Payment", cell: (payment) => text(payment.payment_id) },
  { title: "Paid", cell: (payment) => <Time at={payment.paid_at} as={day} /> },
  { title: "Method", kind: "spare", cell: (payment) => text(payment.method) },
  { title: "Reference", kind: "spare", cell: (payment) => text(payment.reference) },
  { title: "Refunded", kind: "number spare", cell: (payment) => amount(payment.refunded ?? "0") },
  { title: "Amount", kind: "number", cell: (payment) => money(payment.amount, invoice) },
];

type Which = { number: string; party: string; direction: "in" | "out" };
type Item = Body<"/v1/commands/finance/CorrectInvoice">["lines"][number];

/** A correction says the document anew, as it should have been: its lines are JSON. */
function Correct({ invoice, which }: { invoice: Document; which: Which }) {
  const lines = ((invoice.lines ?? []) as Line[]).map(({ product, description, quantity, unit_price, dated_at }) => ({
    product,
    description: description ?? "",
    quantity,
    unit_price,
    ...(dated_at ? { dated_at } : {}),
  }));
  return (
    <Act
      label="Correct"
      title="Correct this document"
      category="invoice"
      fields={[
        { name: "lines", label: "Lines, as JSON", kind: "long", value: json(lines) },
        { name: "tax", label: `Tax in ${invoice.currency}`, value: String(invoice["tax"] ?? "0") },
        { name: "due_date", label: "Due", kind: "date", value: day(invoice.due_date ?? ""), isOptional: true },
        { name: "reason", label: "Why" },
      ]}
      run={({ lines: said = "", tax = "0", due_date, reason = "" }, key) =>
        command(
          "/v1/commands/finance/CorrectInvoice",
          {
            ...which,
            kind: invoice["kind"] === "credit_note" ? "credit_note" : "invoice",
            issue_date: String(invoice["issue_date"]),
            currency: String(invoice.currency),
            country: String(invoice["country"] ?? ""),
            lines: JSON.parse(said) as Item[],
            tax,
            due_date: due_date ? `${due_date}T00:00:00Z` : null,
            reason,
          },
          key,
        )
      }
    />
  );
}

const whichOf = (invoice: Document): Which => ({
  number: String(invoice.number),
  party: String(invoice["party"] ?? ""),
  direction: invoice["direction"] === "in" ? "in" : "out",
});

const refunds = (invoice: Document): Column<Payment> => ({
  title: "What to do",
  kind: "acts",
  cell: (payment) => (
    <Act
      label="Refund"
      title={`Refund payment ${payment.payment_id}`}
      category="invoice"
      fields={[{ name: "amount", label: `Amount in ${invoice.currency} (left out: all of it)`, isOptional: true }, ...REASON]}
      run={({ amount: refunded, reason = "" }, key) =>
        command(
          "/v1/commands/finance/RefundPayment",
          { ...whichOf(invoice), payment_id: String(payment.payment_id), amount: refunded || null, reason },
          key,
        )
      }
    />
  ),
});

function Acts({ invoice }: { invoice: Document }) {
  const which = whichOf(invoice);
  return (
    <>
      <Act
        label="Approve"
        category="invoice"
        kind="primary"
        fields={[{ name: "note", label: "Note", isOptional: true }]}
        run={({ note = "" }, key) => command("/v1/commands/finance/ApproveInvoice", { ...which, note }, key)}
      />
      <Act
        label="Record payment"
        category="invoice"
        fields={[
          { name: "amount", label: `Amount in ${invoice.currency}`, value: String(invoice.open ?? "") },
          { name: "method", label: "Method", value: "bank transfer" },
          { name: "reference", label: "Reference", isOptional: true },
          { name: "payment_id", label: "Id of the payment", value: fresh() },
        ]}
        run={({ amount: paid = "", method = "", reference = "", payment_id = "" }, key) =>
          command("/v1/commands/finance/RecordPayment", { ...which, amount: paid, method, reference, payment_id }, key)
        }
      />
      <Correct invoice={invoice} which={which} />
      <Act
        label="Reject"
        category="invoice"
        fields={REASON}
        run={({ reason = "" }, key) => command("/v1/commands/finance/RejectInvoice", { ...which, reason }, key)}
      />
      <Act
        label="Dispute"
        category="invoice"
        fields={REASON}
        run={({ reason = "" }, key) => command("/v1/commands/finance/DisputeInvoice", { ...which, reason }, key)}
      />
      <Act
        label="Cancel"
        title="Cancel this invoice"
        category="invoice"
        fields={REASON}
        run={({ reason = "" }, key) => command("/v1/commands/finance/CancelInvoice", { ...which, reason }, key)}
      />
      <Act
        label="Categorise"
        category="invoice"
        fields={[{ name: "category", label: "Category", value: String(invoice["category"] ?? "") }]}
        run={({ category = "" }, key) => command("/v1/commands/finance/CategoriseInvoice", { ...which, category }, key)}
      />
    </>
  );
}
