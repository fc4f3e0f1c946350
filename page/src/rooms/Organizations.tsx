import { useRoute } from "preact-iso";

import { command, type Row } from "../api";
import { day, text, words } from "../format";
import { Act, type Field } from "../parts/Act";
import { Notice, Status, Time, Top } from "../parts/bits";
import { List } from "../parts/List";
import type { Column } from "../parts/Table";
import { Thing } from "../parts/Thing";
import { may } from "../session";
import { COLUMNS as DEVICES, toDevice } from "./Devices";

type Organization = Row<"/v1/organizations">;

const COLUMNS: readonly Column<Organization>[] = [
  { title: "Organization", sort: "name", cell: (organization) => text(organization.name) },
  { title: "Kind", cell: (organization) => words(organization.category) },
  { title: "Status", cell: (organization) => <Status of={organization.status} /> },
  { title: "Since", sort: "created_at", kind: "number spare", cell: (organization) => <Time at={organization["created_at"]} as={day} /> },
];

export function Organizations() {
  return (
    <>
      <Top title="Organizations">
        {may("identity:write") && (
          <Act
            label="Add"
            title="Add an organization"
            category="organization"
            kind="primary"
            fields={[{ name: "organization_id", label: "Id (left out: a new one)", isOptional: true }, ...fields()]}
            run={(said, key) =>
              command("/v1/commands/identity/CreateOrganization", { organization_id: said["organization_id"] || key, name: said["name"] ?? "", ...rest(said) }, key)
            }
          />
        )}
      </Top>
      <List
        id="organizations"
        title="All organizations"
        path="/v1/organizations"
        columns={COLUMNS}
        categories={["organization"]}
        filters={{ status: "Status", category: "Kind" }}
        hasWords
        to={(organization) => `/organizations/${encodeURIComponent(String(organization.id))}`}
        empty={<Notice>No organizations yet. Add the ones whose devices you look after.</Notice>}
      />
    </>
  );
}

const fields = (of?: Organization): readonly Field[] => [
  { name: "name", label: "Name", value: String(of?.name ?? "") },
  { name: "category", label: "Kind", isOptional: true, value: String(of?.category ?? "") },
  { name: "employees", label: "Employees", kind: "number", isOptional: true, value: String(of?.["employees"] ?? "") },
];

const rest = ({ category, employees }: Record<string, string>) => ({
  category: category || null,
  employees: employees ? Number(employees) : null,
});

export function OrganizationRoom() {
  const id = useRoute().params["id"] ?? "";
  return (
    <Thing
      path="/v1/organizations/{id}"
      id={id}
      category="organization"
      title={(organization) => String(organization.name ?? id)}
      acts={may("identity:write") ? (organization) => <Acts of={organization as Organization} id={id} /> : undefined}
    >
      {() =>
        may("devices:read") && (
          <List
            id="devices"
            title="Its devices"
            path="/v1/devices"
            columns={DEVICES}
            categories={["device"]}
            query={{ organization_id: [id] }}
            isShort
            to={(device) => toDevice(String(device.id))}
            empty={<Notice>It has no devices. Open a device and say that it belongs here.</Notice>}
          />
        )
      }
    </Thing>
  );
}

function Acts({ of, id: organization_id }: { of: Organization; id: string }) {
  if (of.status !== "ACTIVE") return null;
  return (
    <>
      <Act
        label="Change"
        title="Change this organization"
        category="organization"
        fields={fields(of)}
        run={(said, key) => command("/v1/commands/identity/UpdateOrganization", { organization_id, name: said["name"] ?? "", ...rest(said) }, key)}
      />
      <Act
        label="Archive"
        title="Archive this organization"
        category="organization"
        fields={[{ name: "reason", label: "Why", isOptional: true }]}
        run={({ reason = "" }, key) => command("/v1/commands/identity/ArchiveOrganization", { organization_id, reason }, key)}
      />
    </>
  );
}
