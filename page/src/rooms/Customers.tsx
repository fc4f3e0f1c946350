import { useRoute } from "preact-iso";

import { command, fresh, table, type Json, type Row } from "../api";
import { useAnswer } from "../ask";
import { amount, day, text, words } from "../format";
import { Act } from "../parts/Act";
import { Answered, Card, Notice, Time, Top } from "../parts/bits";
import { List } from "../parts/List";
import { Table, type Column } from "../parts/Table";
import { Thing } from "../parts/Thing";
import { may } from "../session";
import { toInvoice } from "./Invoices";

type Customer = Row<"/v1/customers">;
type Entry = Row<"/v1/analytics/statement">;

const COLUMNS: readonly Column<Customer>[] = [
  { title: "Customer", sort: "name", cell: (customer) => text(customer.name) },
  { title: "Industry", cell: (customer) => text(customer.industry) },
  { title: "Country", cell: (customer) => text(customer["country"]) },
  { title: "Since", sort: "created_at", kind: "number", cell: (customer) => <Time at={customer["created_at"]} as={day} /> },
];

export function Customers() {
  return (
    <>
      <Top title="Customers">{may("sales:write") && <Create />}</Top>
      <List
        id="customers"
        title="All customers"
        path="/v1/customers"
        columns={COLUMNS}
        categories={["customer"]}
        filters={{ industry: "Industry", country: "Country" }}
        to={(customer) => `/customers/${encodeURIComponent(String(customer.id))}`}
        empty={<Notice>No customers yet. A lead that is converted becomes one.</Notice>}
      />
    </>
  );
}

const Create = () => (
  <Act
    label="Add"
    title="Add a customer"
    category="customer"
    fields={[
      { name: "name", label: "Name" },
      { name: "customer_id", label: "Id (left out: a new one)", isOptional: true },
      { name: "industry", label: "Industry", isOptional: true },
      { name: "country", label: "Country", isOptional: true },
    ]}
    run={({ name = "", customer_id, industry, country }, key) =>
      command(
        "/v1/commands/sales/CreateCustomer",
        { customer_id: customer_id || fresh(), name, industry: industry || null, country: country || null },
        key,
      )
    }
  />
);

export function CustomerRoom() {
  const id = useRoute().params["id"] ?? "";
  return (
    <Thing
      path="/v1/customers/{id}"
      id={id}
      category="customer"
      title={(customer) => String(customer.name ?? id)}
      acts={may("sales:write") ? (customer) => <Update of={customer} id={id} /> : undefined}
    >
      {() => may("analytics:read") && <Statement party={id} />}
    </Thing>
  );
}

const KNOWN = { name: "Name", contact_name: "Whom to ask for", email: "E-mail", phone: "Telephone", industry: "Industry", country: "Country" } as const;

const Update = ({ of, id: customer_id }: { of: Record<string, Json>; id: string }) => (
  <Act
    label="Change"
    title="Change this customer"
    category="customer"
    fields={Object.entries(KNOWN).map(([name, label]) => ({ name, label, isOptional: name !== "name", value: String(of[name] ?? "") }))}
    run={(said, key) => {
      // what is left as it was is not said again: it may be masked
      const changed = Object.keys(KNOWN).filter((name) => said[name] && said[name] !== String(of[name] ?? ""));
      return command("/v1/commands/sales/UpdateCustomer", { customer_id, ...Object.fromEntries(changed.map((name) => [name, said[name]])) }, key);
    }}
  />
);

const STATEMENT: readonly Column<Entry>[] = [
  { title: "When", cell: (entry) => <Time at={entry.at} as={day} /> },
  { title: "What", cell: (entry) => words(entry.what) },
  { title: "Invoice", cell: (entry) => (entry.invoice ? <a href={toInvoice(entry.invoice)}>{text(entry.number)}</a> : "–") },
  { title: "Amount", kind: "number", cell: (entry) => `${amount(entry.amount)} ${entry.currency}` },
  { title: "Balance", kind: "number", cell: (entry) => `${amount(entry.balance)} ${entry.currency}` },
];

function Statement({ party }: { party: string }) {
  const answer = useAnswer((asked) => table("/v1/analytics/statement", { party }, {}, asked), [party], ["invoice"]);
  return (
    <Card id="statement" title="Statement">
      <Answered answer={answer}>
        {({ rows }) =>
          rows.length ? (
            <Table columns={STATEMENT} rows={rows} keyOf={(entry) => `${entry.at} ${entry.what} ${entry.invoice} ${entry.balance}`} />
          ) : (
            <Notice>No invoices of this customer.</Notice>
          )
        }
      </Answered>
    </Card>
  );
}
