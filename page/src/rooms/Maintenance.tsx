// Planned maintenance: times in which devices raise no alerts.

import { command, type Row } from "../api";
import { text } from "../format";
import { Act } from "../parts/Act";
import { Notice, Status, Time, Top } from "../parts/bits";
import { List } from "../parts/List";
import type { Column } from "../parts/Table";
import { now } from "../news";
import { may } from "../session";

type Window = Row<"/v1/maintenance">;

/** Where a window stands at this moment: the API says whether it was cancelled. */
function standing(window: Window): string {
  if (window.status !== "PLANNED") return String(window.status);
  if (now.value < Date.parse(String(window.begins_at))) return "planned";
  return now.value < Date.parse(String(window.ends_at)) ? "running" : "over";
}

const what = (window: Window): string =>
  window["device_id"] ? String(window["device_id"]) : window.tag_key ? `all with ${window.tag_key}${window.tag_value ? ` ${window.tag_value}` : ""}` : "all devices";

const COLUMNS: readonly Column<Window>[] = [
  { title: "What", cell: what },
  { title: "Status", cell: (window) => <Status of={standing(window)} /> },
  { title: "Begins", sort: "begins_at", cell: (window) => <Time at={window.begins_at} /> },
  { title: "Ends", sort: "ends_at", cell: (window) => <Time at={window.ends_at} /> },
  { title: "Why", kind: "what spare", cell: (window) => text(window["reason"]) },
  {
    title: "What to do",
    kind: "acts",
    cell: (window) =>
      may("fleet:write") &&
      window.status === "PLANNED" &&
      standing(window) !== "over" && (
        <Act
          label="Cancel"
          title="Cancel this maintenance"
          category="maintenance"
          fields={[{ name: "reason", label: "Why", isOptional: true }]}
          run={({ reason = "" }, key) => command("/v1/commands/fleet/CancelMaintenance", { maintenance_id: String(window.id), reason }, key)}
        />
      ),
  },
];

export function Maintenance() {
  return (
    <>
      <Top title="Maintenance">{may("fleet:write") && <Plan />}</Top>
      <List
        id="maintenance"
        title="All maintenance"
        path="/v1/maintenance"
        columns={COLUMNS}
        categories={["maintenance"]}
        filters={{ status: "Status" }}
        hasWords
        empty={<Notice>No maintenance yet. Plan one before work on a device: it raises no alerts meanwhile.</Notice>}
      />
    </>
  );
}

const inHours = (hours: number): string => new Date(Date.now() + hours * 3_600_000).toISOString().slice(0, 16);

export const Plan = ({ device = "" }: { device?: string }) => (
  <Act
    label="Plan maintenance"
    category="maintenance"
    kind={device ? "quiet" : "primary"}
    fields={[
      { name: "begins_at", label: "Begins (UTC)", kind: "datetime-local", value: inHours(1) },
      { name: "ends_at", label: "Ends (UTC)", kind: "datetime-local", value: inHours(3) },
      { name: "device_id", label: "Device", isOptional: true, value: device },
      { name: "tag_key", label: "Or all devices with this tag", isOptional: true },
      { name: "tag_value", label: "And this value of the tag", isOptional: true },
      { name: "reason", label: "Why", isOptional: true },
    ]}
    run={({ begins_at = "", ends_at = "", device_id, tag_key, tag_value, reason = "" }, key) =>
      command(
        "/v1/commands/fleet/PlanMaintenance",
        {
          maintenance_id: key,
          begins_at: `${begins_at}:00Z`,
          ends_at: `${ends_at}:00Z`,
          device_id: device_id || null,
          tag_key: tag_key || null,
          tag_value: tag_value || null,
          reason,
        },
        key,
      )
    }
  >
    <p class="muted">Name a device or a tag. Alerts of before stay as they are.</p>
  </Act>
);
