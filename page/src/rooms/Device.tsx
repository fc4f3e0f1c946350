// One device: its metrics, its alerts, its log lines, and what was done to it.

import { useRoute } from "preact-iso";

import { command, table, type Row } from "../api";
import { useAddress, withQuery } from "../address";
import { useAnswer } from "../ask";
import { text } from "../format";
import { Act } from "../parts/Act";
import { Ago, Answered, Card, Facts, Notice, Status, Time, Top } from "../parts/bits";
import { DeviceCharts } from "../parts/DeviceCharts";
import { historyOf } from "../parts/History";
import { List } from "../parts/List";
import { LogLines } from "../parts/LogLines";
import { RangePicker } from "../parts/RangePicker";
import { HEARD, lastSeen } from "../news";
import { useRange } from "../range";
import { may, mayAudit } from "../session";
import { alertColumns } from "./Alerts";
import { Plan } from "./Maintenance";
import { Runs } from "./Runs";
import { SHELLS, type Shell } from "./Scripts";

const CHART_HEIGHT = 170;
const STATUSES = ["ONLINE", "OFFLINE", "MAINTENANCE", "DECOMMISSIONED"] as const;

export function Device() {
  const id = useRoute().params["id"] ?? "";
  const { query, set } = useAddress();
  const range = useRange();
  const answer = useAnswer(async (asked) => (await table("/v1/devices/{id}", {}, { id }, asked)).rows[0], [id], ["device", HEARD]);
  return (
    <Answered answer={answer}>
      {(device) => (
        <>
          <Top title={device?.hostname ?? id}>
            {may("execution:write") && <Run id={id} />}
            {may("fleet:write") && <Acts id={id} of={device} />}
            {mayAudit() && (
              <button type="button" class="quiet" onClick={() => set(historyOf(`device-${id}`))}>
                History
              </button>
            )}
          </Top>
          <Card id="device" title="Device">
            <Facts
              of={[
                ["Id", id],
                ["Status", <Status of={device?.status} />],
                ["System", text([device?.os_type, device?.["os_version"]].filter(Boolean).join(" "))],
                ["Kind", text(device?.["device_type"])],
                ["Maker", text([device?.["manufacturer"], device?.["model"]].filter(Boolean).join(" "))],
                ["Serial", text(device?.["serial"])],
                ["Organization", text(device?.["organization_id"])],
                ["Last seen", <Ago at={lastSeen(id, device?.["last_seen_at"])} />],
                ["Registered", <Time at={device?.["registered_at"]} />],
                ...Object.entries(device ?? {})
                  .filter(([name]) => name.startsWith("tag:"))
                  .map(([name, value]) => [`Tag ${name.slice(4)}`, String(value)] as const),
              ]}
            />
          </Card>
          <Card id="metrics" title={`Metrics of ${device?.hostname ?? id}`} more={<RangePicker />}>
            <DeviceCharts key={id} id={id} range={range} height={CHART_HEIGHT} onZoom={range.zoom} />
          </Card>
          {may("alerts:read") && (
            <List
              id="alerts"
              title="Alerts"
              path="/v1/alerts"
              query={{ device_id: [id] }}
              columns={alertColumns.filter(({ title }) => title !== "Device")}
              categories={["alert"]}
              isShort
              limit={10}
              to={mayAudit() ? (alert) => withQuery(`/devices/${encodeURIComponent(id)}`, { ...query, ...historyOf(`alert-${alert.id}`) }) : undefined}
              empty={<Notice>No alerts.</Notice>}
            />
          )}
          {may("scripts:read") && <Runs isShort query={{ device_id: [id] }} />}
          <Card id="logs" title="Log lines">
            <LogLines device={id} range={range} />
          </Card>
        </>
      )}
    </Answered>
  );
}

const Run = ({ id: device_id }: { id: string }) => (
  <>
    <Act
      label="Run a command"
      title="Run a command on this device"
      category="command_execution"
      fields={[
        { name: "shell", label: "Shell", kind: "choice", values: SHELLS },
        { name: "body", label: "Command", kind: "long" },
        { name: "timeout_s", label: "May take seconds", kind: "number", value: "60" },
      ]}
      run={({ shell, body = "", timeout_s }, key) =>
        command("/v1/commands/execution/RunCommand", { execution_id: key, device_id, shell: shell as Shell, body, timeout_s: Number(timeout_s) }, key)
      }
    />
    <Act
      label="Run a script"
      title="Run a script on this device"
      category="command_execution"
      fields={[{ name: "script_id", label: "Id of the script" }]}
      run={({ script_id = "" }, key) => command("/v1/commands/execution/RunScript", { execution_id: key, device_id, script_id }, key)}
    />
  </>
);

const KNOWN = {
  hostname: "Host name",
  os_type: "System",
  os_version: "Its version",
  device_type: "Kind",
  manufacturer: "Maker",
  model: "Model",
  serial: "Serial number",
  organization_id: "Id of its organization",
} as const;

const Acts = ({ id, of }: { id: string; of: Row<"/v1/devices/{id}"> | undefined }) => (
  <>
    <Act
      label="Change"
      title="Change what is known of this device"
      category="device"
      fields={Object.entries(KNOWN).map(([name, label]) => ({ name, label, isOptional: true, value: String(of?.[name] ?? "") }))}
      run={(said, key) => {
        // what is left as it was is not said again
        const changed = Object.keys(KNOWN).filter((name) => said[name] && said[name] !== String(of?.[name] ?? ""));
        return command("/v1/commands/fleet/UpdateDevice", { device_id: id, ...Object.fromEntries(changed.map((name) => [name, said[name]])) }, key);
      }}
    />
    {may("watches:read") && <Plan device={id} />}
    <Act
      label="Tag"
      title="Tag this device"
      category="device"
      fields={[
        { name: "key", label: "Tag" },
        { name: "value", label: "Value" },
      ]}
      run={({ key: tag = "", value = "" }, key) => command("/v1/commands/fleet/TagDevice", { device_id: id, key: tag, value }, key)}
    />
    <Act
      label="Change status"
      category="device"
      fields={[
        { name: "status", label: "Status", kind: "choice", values: STATUSES },
        { name: "reason", label: "Why", isOptional: true },
      ]}
      run={({ status, reason = "" }, key) =>
        command("/v1/commands/fleet/ChangeDeviceStatus", { device_id: id, status: status as (typeof STATUSES)[number], reason }, key)
      }
    />
    <Act
      label="Retire"
      title="Retire this device"
      category="device"
      fields={[{ name: "reason", label: "Why", isOptional: true }]}
      run={({ reason = "" }, key) => command("/v1/commands/fleet/RetireDevice", { device_id: id, reason }, key)}
    >
      <p class="muted">A retired device takes no more commands.</p>
    </Act>
  </>
);
