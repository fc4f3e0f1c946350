// Lines of the bank's statements: which invoice each pays, and those that need a person.

import { useRoute } from "preact-iso";

import { command, type Body, type Json, type Row } from "../api";
import { amount, day, text } from "../format";
import { Act, type Values } from "../parts/Act";
import { Notice, Status, Time, Top } from "../parts/bits";
import { List } from "../parts/List";
import type { Column } from "../parts/Table";
import { Thing } from "../parts/Thing";
import { may } from "../session";
import { toInvoice } from "./Invoices";

type Transaction = Row<"/v1/transactions">;

const NEEDS_A_PERSON = "FLAGGED";

const toTransaction = (id: unknown): string => `/transactions/${encodeURIComponent(String(id))}`;
const money = (of: Record<string, Json>): string => `${amount(of["amount"])} ${of["currency"]}`;

/** The identity of an invoice is `party:number`, with `in:` before it where it was sent to us. */
const invoiceName = (id: Json): string => decodeURIComponent(String(id).split(":").at(-1) ?? "");
const Paid = ({ id }: { id: Json }) => (id ? <a href={toInvoice(String(id))}>{invoiceName(id)}</a> : <>–</>);

/** Whether the amount is far from what this party usually pays or is paid, and why. */
const Unusual = ({ of }: { of: Record<string, Json> }) => (of["amount_flag"] ? <span title={text(of["amount_flag_reason"])}><Status of={of["amount_flag"]} /></span> : <>–</>);

const BOOKED: Column<Transaction> = { title: "Booked", sort: "booked_at", cell: (one) => <Time at={one.booked_at} as={day} /> };
const AMOUNT: Column<Transaction> = { title: "Amount", sort: "amount", kind: "number", cell: (one) => money(one) };
const PARTY: Column<Transaction> = { title: "Who", kind: "spare", cell: (one) => text(one.party) };
const REFERENCE: Column<Transaction> = { title: "Reference", kind: "what spare", cell: (one) => text(one.reference) };

const FLAGGED: readonly Column<Transaction>[] = [
  BOOKED,
  AMOUNT,
  PARTY,
  REFERENCE,
  { title: "Why a person", kind: "what", cell: (one) => text(one["status_reason"]) },
  { title: "Score", kind: "number spare", cell: (one) => text(one.score) },
  { title: "What to do", kind: "acts", cell: (one) => may("finance:write") && <Acts of={one} /> },
];

const COLUMNS: readonly Column<Transaction>[] = [
  BOOKED,
  { title: "Account", kind: "spare", cell: (one) => text(one.account) },
  PARTY,
  REFERENCE,
  { title: "Invoice", kind: "spare", cell: (one) => <Paid id={one["invoice"]} /> },
  AMOUNT,
  { title: "Unusual", kind: "spare", cell: (one) => <Unusual of={one} /> },
  { title: "Status", cell: (one) => <Status of={one.status} /> },
];

export function Transactions() {
  return (
    <>
      <Top title="Bank">{may("finance:write") && <Record />}</Top>
      <List
        id="flagged"
        title="Needs a person"
        path="/v1/transactions"
        columns={FLAGGED}
        categories={["transaction"]}
        query={{ status: [NEEDS_A_PERSON], sort: "-score" }}
        isShort
        limit={20}
        to={(one) => toTransaction(one.id)}
        empty={<Notice>No line of a statement needs a person.</Notice>}
      />
      <List
        id="transactions"
        title="All lines"
        path="/v1/transactions"
        columns={COLUMNS}
        categories={["transaction"]}
        filters={{ status: "Status", account: "Account", currency: "Currency", amount_flag: "Unusual" }}
        hasWords
        to={(one) => toTransaction(one.id)}
        empty={<Notice>No lines yet. Record one, or send what the bank gives to the API: each is held against the open invoices.</Notice>}
      />
    </>
  );
}

export function TransactionRoom() {
  const id = useRoute().params["id"] ?? "";
  return (
    <Thing
      path="/v1/transactions/{id}"
      id={id}
      category="transaction"
      title={(one) => money(one)}
      without={["amount", "invoice"]}
      acts={may("finance:write") ? (one) => <Acts of={one} /> : undefined}
    >
      {(one) =>
        one["invoice"] && (
          <p class="notice">
            It pays invoice <Paid id={one["invoice"]} />.
          </p>
        )
      }
    </Thing>
  );
}

const WAYS = ["out: we wrote it", "in: it was sent to us"] as const;

/** Money that came in pays what we wrote, money that went out pays what was sent to us. */
const wayOf = (of: Record<string, Json>): string => (String(of["amount"]).startsWith("-") ? WAYS[1] : WAYS[0]);

function Acts({ of }: { of: Record<string, Json> }) {
  const transaction_id = String(of["id"]);
  if (of["status"] === "RECONCILED") return null;
  return (
    <>
      <Act
        label="Assign"
        title={`Which invoice do ${money(of)} pay?`}
        category="transaction"
        fields={[
          { name: "number", label: "Number of the invoice", value: String(of["number"] ?? "") },
          { name: "party", label: "Its customer or supplier", isOptional: true, value: String(of["party"] ?? "") },
          { name: "direction", label: "Which way", kind: "choice", values: WAYS, value: wayOf(of) },
        ]}
        run={({ number = "", party = "", direction = "" }, key) =>
          command("/v1/commands/finance/AssignTransaction", { transaction_id, number, party, direction: direction.startsWith("in") ? "in" : "out" }, key)
        }
      >
        <p class="muted">{text(of["status_reason"])}</p>
      </Act>
      {of["status"] !== "IGNORED" && (
        <Act
          label="Ignore"
          title={`${money(of)} pay no invoice`}
          category="transaction"
          fields={[{ name: "reason", label: "Why: a fee, a salary, a tax", isOptional: true }]}
          run={({ reason = "" }, key) => command("/v1/commands/finance/IgnoreTransaction", { transaction_id, reason }, key)}
        />
      )}
    </>
  );
}

const Record = () => (
  <Act
    label="Record one"
    title="Record a line of a statement"
    category="transaction"
    kind="primary"
    fields={[
      { name: "transaction_id", label: "What the bank calls the line" },
      { name: "account", label: "Account" },
      { name: "booked_at", label: "Booked", kind: "date", value: new Date().toISOString().slice(0, 10) },
      { name: "amount", label: "Amount; below zero it went out" },
      { name: "currency", label: "Currency", value: "EUR" },
      { name: "party", label: "Who paid or was paid", isOptional: true },
      { name: "reference", label: "Reference", isOptional: true },
      { name: "number", label: "Number of the invoice, where it is known", isOptional: true },
    ]}
    run={(said, key) => command("/v1/commands/finance/RecordTransaction", lineOf(said), key)}
  />
);

const lineOf = ({ transaction_id = "", account = "", booked_at, amount: sum = "", currency = "", party = "", reference = "", number }: Values): Body<"/v1/commands/finance/RecordTransaction"> => ({
  transaction_id,
  account,
  booked_at: `${booked_at}T00:00:00Z`,
  amount: sum,
  currency,
  party,
  reference,
  number: number || null,
});
