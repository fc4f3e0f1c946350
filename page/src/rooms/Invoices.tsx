import { command, type Body, type Row } from "../api";
import { amount, count, day, text, words } from "../format";
import { Status, Time, Top } from "../parts/bits";
import { Act } from "../parts/Act";
import { Droppable } from "../parts/Droppable";
import { ImportHint } from "../parts/ImportHint";
import { List } from "../parts/List";
import { Revenue } from "../parts/Revenue";
import type { Column } from "../parts/Table";
import { may } from "../session";

type Invoice = Row<"/v1/invoices">;

export const toInvoice = (id: string): string => `/invoices/${encodeURIComponent(id)}`;

export const invoiceColumns: readonly Column<Invoice>[] = [
  { title: "Number", sort: "number", cell: (invoice) => text(invoice.number) },
  { title: "Issued", sort: "issue_date", cell: (invoice) => <Time at={invoice["issue_date"]} as={day} /> },
  { title: "Kind", kind: "spare", cell: (invoice) => words(invoice["kind"]) },
  { title: "Customer", sort: "party", kind: "spare", cell: (invoice) => text(invoice["party"]) },
  { title: "Country", cell: (invoice) => text(invoice["country"]) },
  { title: "Lines", kind: "number spare", cell: (invoice) => count(Number(invoice["line_count"] ?? 0)) },
  { title: "Total", sort: "total", kind: "number", cell: (invoice) => `${amount(invoice["total"])} ${invoice.currency}` },
  { title: "Status", sort: "status", kind: "spare", cell: (invoice) => <Status of={invoice["status"]} /> },
];

export function Invoices() {
  return (
    <>
      <Top title="Invoices">
        {may("finance:write") && (
          <>
            <Droppable kind="invoices" />
            <Receive />
          </>
        )}
      </Top>
      {may("analytics:read") && (
        <div class="two">
          <Revenue
            id="revenue-over-time"
            title="Revenue over time"
            choices={["month", "day"]}
            newestLast
            shown={12}
            empty={<ImportHint />}
          />
          <Revenue id="revenue-by-group" title="Revenue by" choices={["country", "product", "customer"]} shown={8} empty={<ImportHint />} />
        </div>
      )}
      <List
        id="invoices"
        title="All invoices"
        path="/v1/invoices"
        columns={invoiceColumns}
        categories={["invoice"]}
        to={(invoice) => toInvoice(String(invoice.id))}
        filters={{ kind: "Kind", country: "Country", status: "Status", amount_flag: "Unusual" }}
        hasWords
        empty={<ImportHint />}
      />
    </>
  );
}

const today = (): string => new Date().toISOString().slice(0, 10);

/** One invoice of one line, by hand; files bring in many. */
const Receive = () => (
  <Act
    label="Record one"
    title="Record an invoice"
    category="invoice"
    fields={[
      { name: "number", label: "Number" },
      { name: "direction", label: "Which way", kind: "choice", values: ["out: we wrote it", "in: it was sent to us"] },
      { name: "party", label: "Customer or supplier" },
      { name: "issue_date", label: "Issued", kind: "date", value: today() },
      { name: "due_date", label: "Due", kind: "date", isOptional: true },
      { name: "product", label: "Product" },
      { name: "quantity", label: "Quantity", value: "1" },
      { name: "unit_price", label: "Price of one" },
      { name: "tax", label: "Tax", value: "0" },
      { name: "currency", label: "Currency", value: "EUR" },
      { name: "country", label: "Country", isOptional: true },
    ]}
    run={({ number = "", direction = "", party = "", issue_date, due_date, product = "", quantity = "", unit_price = "", tax = "0", currency = "", country = "" }, key) => {
      const body: Body<"/v1/commands/finance/ReceiveInvoice"> = {
        number,
        direction: direction.startsWith("in") ? "in" : "out",
        party,
        issue_date: `${issue_date}T00:00:00Z`,
        due_date: due_date ? `${due_date}T00:00:00Z` : null,
        lines: [{ product, quantity, unit_price }],
        tax,
        currency,
        country,
      };
      return command("/v1/commands/finance/ReceiveInvoice", body, key);
    }}
  />
);
