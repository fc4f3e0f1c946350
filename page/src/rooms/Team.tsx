// Who leads are given to: what they know, whether they are there, and what they won.

import { command, type Row } from "../api";
import { count, text } from "../format";
import { Act } from "../parts/Act";
import { Notice, Status, Top } from "../parts/bits";
import { List } from "../parts/List";
import type { Column } from "../parts/Table";
import { may } from "../session";

type Representative = Row<"/v1/representatives">;

const COLUMNS: readonly Column<Representative>[] = [
  { title: "Name", sort: "name", cell: (one) => text(one.name) },
  { title: "Status", cell: (one) => <Status of={one["status"]} /> },
  { title: "Knows", kind: "what", cell: (one) => text((one.expertise ?? []).join(", ")) },
  { title: "Countries", kind: "what spare", cell: (one) => text(((one["countries"] ?? []) as string[]).join(", ")) },
  { title: "Leads", sort: "leads", kind: "number", cell: (one) => count(Number(one.leads ?? 0)) },
  { title: "Won", sort: "wins", kind: "number", cell: (one) => count(Number(one.wins ?? 0)) },
  { title: "What to do", kind: "acts", cell: (one) => may("sales:write") && <Acts of={one} /> },
];

export function Team() {
  return (
    <>
      <Top title="Sales team">{may("sales:write") && <Register label="Add" />}</Top>
      <List
        id="team"
        title="Everybody"
        path="/v1/representatives"
        columns={COLUMNS}
        categories={["sales_team"]}
        keyOf={(one) => String(one.id)}
        filters={{ status: "Status" }}
        empty={<Notice>Nobody yet. Add who works on leads: each new lead goes to the one that suits best.</Notice>}
      />
    </>
  );
}

function Acts({ of }: { of: Representative }) {
  const isThere = of["status"] === "AVAILABLE";
  return (
    <>
      <Act
        label={isThere ? "Away" : "Back"}
        title={isThere ? `${of.name} gets no leads for now` : `${of.name} gets leads again`}
        category="sales_team"
        fields={[{ name: "reason", label: "Why", isOptional: true }]}
        run={({ reason = "" }, key) =>
          command("/v1/commands/sales/ChangeAvailability", { representative_id: String(of.id), is_available: !isThere, reason }, key)
        }
      />
      <Register label="Change" of={of} />
    </>
  );
}

const list = (said: string): string[] =>
  said
    .split(",")
    .map((one) => one.trim())
    .filter(Boolean);

const Register = ({ label, of }: { label: string; of?: Representative }) => (
  <Act
    label={label}
    title={of ? `What ${of.name} knows` : "Add somebody to the sales team"}
    category="sales_team"
    kind={of ? "quiet" : "primary"}
    fields={[
      ...(of ? [] : [{ name: "representative_id", label: "Name to sign in with" }]),
      { name: "expertise", label: "Industries, with commas between them", isOptional: true, value: (of?.expertise ?? []).join(", ") },
      { name: "countries", label: "Countries, with commas between them", isOptional: true, value: ((of?.["countries"] ?? []) as string[]).join(", ") },
    ]}
    run={({ representative_id = String(of?.id ?? ""), expertise = "", countries = "" }, key) =>
      command("/v1/commands/sales/RegisterRepresentative", { representative_id, expertise: list(expertise), countries: list(countries) }, key)
    }
  />
);
