import { command, fresh, type Row } from "../api";
import { useAddress } from "../address";
import { text } from "../format";
import { Ago, Notice, Status, Top } from "../parts/bits";
import { Act } from "../parts/Act";
import { Droppable } from "../parts/Droppable";
import { List } from "../parts/List";
import type { Column } from "../parts/Table";
import { HEARD, lastSeen } from "../news";
import { may } from "../session";
import { mayImport } from "./Import";

export const SILENT = "-15m";

type Device = Row<"/v1/devices">;

export const toDevice = (id: string): string => `/devices/${encodeURIComponent(id)}`;

export const COLUMNS: readonly Column<Device>[] = [
  { title: "Device", sort: "hostname", cell: (device) => device.hostname ?? device.id },
  { title: "Status", sort: "status", cell: (device) => <Status of={device.status} /> },
  { title: "System", sort: "os_type", kind: "spare", cell: (device) => [device.os_type, device["os_version"]].filter(Boolean).join(" ") || "–" },
  { title: "Kind", kind: "spare", cell: (device) => text(device["device_type"]) },
  { title: "Last seen", sort: "last_seen_at", kind: "number", cell: (device) => <Ago at={lastSeen(device.id, device["last_seen_at"])} /> },
];

export function Devices() {
  const { query, set } = useAddress();
  const isSilent = query["silent"] === "yes";
  const choose = (silent: boolean): void => set({ silent: silent ? "yes" : null, cursor: null });
  return (
    <>
      <Top title="Devices">
        {mayImport("metrics") && <Droppable kind="metrics" />}
        {may("fleet:write") && <Register />}
      </Top>
      <List
        id="devices"
        title="All devices"
        path="/v1/devices"
        columns={COLUMNS}
        categories={["device", HEARD]}
        to={(device) => toDevice(String(device.id))}
        filters={{ status: "Status", os_type: "System" }}
        hasWords
        query={isSilent ? { last_seen_at_before: SILENT } : {}}
        more={
          <label>
            <input type="checkbox" checked={isSilent} onChange={(event) => choose(event.currentTarget.checked)} /> Silent for 15 minutes
          </label>
        }
        empty={<Notice>{isSilent ? "No device is silent." : "No devices yet. Register one, or import its logs and metrics: they register it."}</Notice>}
      />
    </>
  );
}

const Register = () => (
  <Act
    label="Register"
    title="Register a device"
    category="device"
    fields={[
      { name: "hostname", label: "Host name" },
      { name: "device_id", label: "Id (left out: a new one)", isOptional: true },
      { name: "os_type", label: "System", isOptional: true, placeholder: "linux" },
    ]}
    run={({ hostname = "", device_id, os_type }, key) =>
      command("/v1/commands/fleet/RegisterDevice", { hostname, device_id: device_id || fresh(), os_type: os_type || null }, key)
    }
  />
);
