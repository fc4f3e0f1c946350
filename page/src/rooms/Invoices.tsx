import type { Row } from "../api";
import { amount, count, day, text, words } from "../format";
import { Status, Time, Top } from "../parts/bits";
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
      <Top title="Invoices" />
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
        filters={{ kind: "Kind", country: "Country", status: "Status" }}
        hasWords
        empty={<ImportHint />}
      />
    </>
  );
}
