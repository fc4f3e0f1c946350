// Versions of the device agent that are offered to devices, wave by wave.

import { useRoute } from "preact-iso";

import { command, type Json, type Row } from "../api";
import { count, text } from "../format";
import { Act, type Field } from "../parts/Act";
import { Notice, Status, Time, Top } from "../parts/bits";
import { List } from "../parts/List";
import type { Column } from "../parts/Table";
import { Thing } from "../parts/Thing";
import { may } from "../session";

type Release = Row<"/v1/agent_releases">;

const REASON: readonly Field[] = [{ name: "reason", label: "Why", isOptional: true }];
const MINUTE_S = 60;

const COLUMNS: readonly Column<Release>[] = [
  { title: "Version", sort: "version_offered", cell: (release) => text(release.version_offered) },
  { title: "Status", cell: (release) => <Status of={release.status} /> },
  { title: "Wave", kind: "spare", cell: (release) => `${text(release.wave)} of ${text(release.waves)}` },
  { title: "Devices", sort: "devices", kind: "number", cell: (release) => count(Number(release.devices ?? 0)) },
  { title: "Offered", kind: "number spare", cell: (release) => count(Number(release.offered ?? 0)) },
  { title: "Run it", sort: "updated", kind: "number", cell: (release) => count(Number(release.updated ?? 0)) },
  { title: "Failed", sort: "failed", kind: "number", cell: (release) => count(Number(release.failed ?? 0)) },
  { title: "Changed", sort: "changed_at", kind: "number spare", cell: (release) => <Time at={release["changed_at"]} /> },
];

export function Releases() {
  return (
    <>
      <Top title="Agent releases">{may("operations:write") && <Publish />}</Top>
      <List
        id="releases"
        title="All releases"
        path="/v1/agent_releases"
        columns={COLUMNS}
        categories={["agent_release"]}
        filters={{ status: "Status", version_offered: "Version" }}
        hasWords
        to={(release) => `/releases/${encodeURIComponent(String(release.id))}`}
        empty={<Notice>No releases yet. Publish one, and devices whose agent may update itself get it, a few first.</Notice>}
      />
    </>
  );
}

const list = (said: string): string[] => said.split(/[\s,]+/).filter(Boolean);

const Publish = () => (
  <Act
    label="Publish"
    title="Publish a release of the device agent"
    category="agent_release"
    kind="primary"
    fields={[
      { name: "release_id", label: "Id", placeholder: "agent-1.5" },
      { name: "version", label: "Version, as devices report it" },
      { name: "digest", label: "SHA-256 of the program" },
      { name: "device_ids", label: "Ids of the devices, one a line", kind: "long" },
      { name: "waves", label: "Percent that have the offer after each wave", value: "10, 50, 100" },
      { name: "wait", label: "Minutes that a wave lasts", kind: "number", value: "60" },
      { name: "max_failed_percent", label: "Halt where more percent of a wave fail", kind: "number", value: "10" },
    ]}
    run={({ release_id = "", version = "", digest = "", device_ids = "", waves = "", wait, max_failed_percent }, key) =>
      command(
        "/v1/commands/operations/PublishAgentRelease",
        {
          release_id,
          version,
          digest,
          device_ids: list(device_ids),
          waves: list(waves).map(Number),
          wait_s: Math.round(Number(wait) * MINUTE_S),
          max_failed_percent: Number(max_failed_percent),
        },
        key,
      )
    }
  />
);

export function ReleaseRoom() {
  const id = useRoute().params["id"] ?? "";
  return (
    <Thing
      path="/v1/agent_releases/{id}"
      id={id}
      category="agent_release"
      title={(release) => `${text(release.version_offered)} for ${count(Number(release.devices ?? 0))} devices`}
      without={["version"]}
      acts={may("operations:write") ? (release) => <Acts of={release} id={id} /> : undefined}
    />
  );
}

function Acts({ of, id: release_id }: { of: Record<string, Json>; id: string }) {
  if (of["status"] === "ROLLING_OUT") {
    return (
      <Act
        label="Halt"
        title="Begin no further wave"
        category="agent_release"
        fields={REASON}
        run={({ reason = "" }, key) => command("/v1/commands/operations/HaltAgentRelease", { release_id, reason }, key)}
      >
        <p class="muted">Devices that do not run the version yet are offered it no more.</p>
      </Act>
    );
  }
  if (of["status"] !== "HALTED") return null;
  return (
    <Act
      label="Resume"
      title="Go on after the halt"
      category="agent_release"
      kind="primary"
      fields={REASON}
      run={({ reason = "" }, key) => command("/v1/commands/operations/ResumeAgentRelease", { release_id, reason }, key)}
    >
      <p class="muted">Devices that failed so far get the offer once more.</p>
    </Act>
  );
}
