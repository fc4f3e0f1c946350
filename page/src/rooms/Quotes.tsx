import { useRoute } from "preact-iso";

import { command, type Row } from "../api";
import { amount, day, text } from "../format";
import { Act } from "../parts/Act";
import { Card, Notice, Status, Time, Top } from "../parts/bits";
import { List } from "../parts/List";
import { Table, type Column } from "../parts/Table";
import { Thing } from "../parts/Thing";
import { may } from "../session";

type Quote = Row<"/v1/quotes">;

const COLUMNS: readonly Column<Quote>[] = [
  { title: "Quote", cell: (quote) => text(quote.id) },
  { title: "Status", cell: (quote) => <Status of={quote.status} /> },
  { title: "For", cell: (quote) => text(quote["customer_id"] ?? quote.lead_id) },
  { title: "Total", kind: "number", cell: (quote) => `${amount(quote.total)} ${quote.currency}` },
  { title: "Drafted", sort: "drafted_at", kind: "number spare", cell: (quote) => <Time at={quote["drafted_at"]} as={day} /> },
  { title: "Valid until", sort: "valid_until", kind: "number", cell: (quote) => <Time at={quote.valid_until} as={day} /> },
];

export function Quotes() {
  return (
    <>
      <Top title="Quotes" />
      <List
        id="quotes"
        title="All quotes"
        path="/v1/quotes"
        columns={COLUMNS}
        categories={["quote"]}
        filters={{ status: "Status", currency: "Currency" }}
        to={(quote) => `/quotes/${encodeURIComponent(String(quote.id))}`}
        empty={<Notice>No quotes yet. A qualified lead gets one.</Notice>}
      />
    </>
  );
}

interface Line {
  product: string;
  description: string;
  quantity: string;
  unit_price: string;
}

const LINES: readonly Column<Line>[] = [
  { title: "Product", cell: (line) => line.product },
  { title: "Description", kind: "what", cell: (line) => text(line.description) },
  { title: "Quantity", kind: "number", cell: (line) => amount(line.quantity, 0) },
  { title: "Price", kind: "number", cell: (line) => amount(line.unit_price) },
];

export function QuoteRoom() {
  const id = useRoute().params["id"] ?? "";
  return (
    <Thing
      path="/v1/quotes/{id}"
      id={id}
      category="quote"
      title={(quote) => `Quote ${quote.id}`}
      without={["lines"]}
      acts={may("sales:write") ? (quote) => <Acts id={id} status={String(quote.status)} /> : undefined}
    >
      {(quote) => (
        <Card id="lines" title="Lines">
          <Table columns={LINES} rows={(quote["lines"] ?? []) as unknown as Line[]} keyOf={(line) => JSON.stringify(line)} />
        </Card>
      )}
    </Thing>
  );
}

function Acts({ id: quote_id, status }: { id: string; status: string }) {
  return (
    <>
      {status === "DRAFT" && (
        <Act label="Issue" title="Issue this quote" category="quote" kind="primary" run={(_, key) => command("/v1/commands/sales/IssueQuote", { quote_id }, key)} />
      )}
      {status === "ISSUED" && (
        <Act
          label="Accept"
          title="The customer accepts this quote"
          category="quote"
          kind="primary"
          run={(_, key) => command("/v1/commands/sales/AcceptQuote", { quote_id }, key)}
        />
      )}
      {(status === "DRAFT" || status === "ISSUED") && (
        <Act
          label="Void"
          title="Void this quote"
          category="quote"
          fields={[{ name: "reason", label: "Why", isOptional: true }]}
          run={({ reason = "" }, key) => command("/v1/commands/sales/VoidQuote", { quote_id, reason }, key)}
        />
      )}
    </>
  );
}
