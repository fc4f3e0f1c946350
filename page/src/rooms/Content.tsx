// The queue of what is written: what waits for a review first of all.

import { useRoute } from "preact-iso";

import { command, fresh, type Row } from "../api";
import { count, text, words } from "../format";
import { Act } from "../parts/Act";
import { Analysis } from "../parts/Analysis";
import { Notice, Status, Time, Top } from "../parts/bits";
import { List } from "../parts/List";
import type { Column } from "../parts/Table";
import { Thing } from "../parts/Thing";
import { may } from "../session";

type Content = Row<"/v1/content">;
type Distribution = Row<"/v1/distributions">;

const COLUMNS: readonly Column<Content>[] = [
  { title: "Title", sort: "title", cell: (content) => text(content.title) },
  { title: "Status", sort: "status", cell: (content) => <Status of={content.status} /> },
  { title: "Kind", cell: (content) => words(content.kind) },
  { title: "Asked by", kind: "spare", cell: (content) => text(content["requested_by"]) },
  { title: "Published on", kind: "spare", cell: (content) => text((content.published_on ?? []).join(", ")) },
  { title: "Changed", sort: "changed_at", kind: "number", cell: (content) => <Time at={content["changed_at"]} /> },
];

export function ContentQueue() {
  return (
    <>
      <Top title="Content">{may("content:write") && <Ask />}</Top>
      <List
        id="calendar"
        title="What is published from today on"
        path="/v1/content"
        columns={CALENDAR}
        categories={["content"]}
        // from this day on
        query={{ publish_at_from: new Date().toISOString().slice(0, 10), sort: "publish_at" }}
        isShort
        limit={20}
        to={(content) => `/content/${encodeURIComponent(String(content.id))}`}
        empty={<Notice>Nothing is scheduled. Approve a draft, then say when and where it is published.</Notice>}
      />
      {may("analytics:read") && (
        <Analysis
          id="performance"
          title="How it is read"
          path="/v1/analytics/content"
          by={["platform", "content", "month"]}
          columns={PERFORMANCE}
          categories={["content", "distribution"]}
          empty="Nothing is published yet."
        />
      )}
      <List
        id="content"
        title="All content"
        path="/v1/content"
        columns={COLUMNS}
        categories={["content"]}
        filters={{ status: "Status", kind: "Kind" }}
        hasWords
        to={(content) => `/content/${encodeURIComponent(String(content.id))}`}
        empty={<Notice>Nothing is asked for yet.</Notice>}
      />
    </>
  );
}

const CALENDAR: readonly Column<Content>[] = [
  { title: "When", cell: (content) => <Time at={content["publish_at"]} /> },
  { title: "Status", cell: (content) => <Status of={content.status} /> },
  { title: "Title", kind: "what", cell: (content) => text(content.title) },
  { title: "Where", cell: (content) => text(((content["platforms"] ?? []) as string[]).join(", ")) },
];

const PERFORMANCE: readonly Column<Row<"/v1/analytics/content">>[] = [
  { title: "Published", kind: "number", cell: (row) => count(Number(row.published ?? 0)) },
  { title: "Failed attempts", kind: "number spare", cell: (row) => count(Number(row.failed_attempts ?? 0)) },
  { title: "Views", kind: "number", cell: (row) => count(Number(row.views ?? 0)) },
  { title: "Engagement", kind: "number", cell: (row) => count(Number(row.engagement ?? 0)) },
];

const Ask = () => (
  <Act
    label="Ask for"
    title="Ask for content"
    category="content"
    fields={[
      { name: "title", label: "Title" },
      { name: "kind", label: "Kind", value: "article" },
      { name: "brief", label: "What it is to say", kind: "long", isOptional: true },
    ]}
    run={({ title = "", kind = "", brief = "" }, key) =>
      command("/v1/commands/content/RequestContent", { content_id: fresh(), title, kind, brief }, key)
    }
  />
);

export function ContentRoom() {
  const id = useRoute().params["id"] ?? "";
  return (
    <Thing
      path="/v1/content/{id}"
      id={id}
      category="content"
      title={(content) => String(content.title ?? id)}
      acts={may("content:write") ? (content) => <Acts content={content as Content} id={id} /> : undefined}
    >
      {() => (
        <List
          id="distributions"
          title="Where it is published"
          path="/v1/distributions"
          columns={DISTRIBUTIONS}
          categories={["distribution"]}
          query={{ content_id: [id] }}
          isShort
          empty={<Notice>Nowhere yet.</Notice>}
        />
      )}
    </Thing>
  );
}

const DISTRIBUTIONS: readonly Column<Distribution>[] = [
  { title: "Platform", cell: (one) => text(one.platform) },
  { title: "Status", cell: (one) => <Status of={one.status} /> },
  { title: "Address", kind: "what spare", cell: (one) => text(one["url"]) },
  { title: "Why not", kind: "what spare", cell: (one) => text(one["error"]) },
  { title: "Views", sort: "views", kind: "number", cell: (one) => count(Number(one.views ?? 0)) },
  { title: "Engagement", sort: "engagement", kind: "number", cell: (one) => count(Number(one.engagement ?? 0)) },
];

function Acts({ content, id: content_id }: { content: Content; id: string }) {
  const status = content.status;
  return (
    <>
      {(status === "REQUESTED" || status === "DRAFT" || status === "REJECTED") && (
        <Act
          label="Submit draft"
          category="content"
          fields={[{ name: "body", label: "Text", kind: "long", value: String(content["body"] ?? "") }]}
          run={({ body = "" }, key) => command("/v1/commands/content/SubmitDraft", { content_id, body, for_review: true }, key)}
        />
      )}
      {status === "REVIEW" && (
        <>
          <Act
            label="Approve"
            category="content"
            kind="primary"
            fields={[{ name: "reason", label: "Note", isOptional: true }]}
            run={({ reason = "" }, key) => command("/v1/commands/content/ApproveContent", { content_id, reason }, key)}
          />
          <Act
            label="Reject"
            category="content"
            fields={[{ name: "reason", label: "Why" }]}
            run={({ reason = "" }, key) => command("/v1/commands/content/RejectContent", { content_id, reason }, key)}
          />
        </>
      )}
      {status === "APPROVED" && (
        <Act
          label="Schedule"
          title="Schedule the publication"
          category="content"
          fields={[
            { name: "platforms", label: "Platforms, with commas between them", value: "blog" },
            { name: "publish_at", label: "When (UTC)", kind: "datetime-local" },
          ]}
          run={({ platforms = "", publish_at = "" }, key) =>
            command(
              "/v1/commands/content/SchedulePublication",
              { content_id, platforms: platforms.split(",").map((one) => one.trim()), publish_at: `${publish_at}:00Z` },
              key,
            )
          }
        />
      )}
    </>
  );
}
