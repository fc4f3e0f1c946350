// Collections of documents that are found by what they mean.

import { useRoute } from "preact-iso";

import { command, fresh, type Body, type Json, type Row } from "../api";
import { count, text } from "../format";
import { Act, type Field } from "../parts/Act";
import { Notice, Status, Time, Top } from "../parts/bits";
import { List } from "../parts/List";
import type { Column } from "../parts/Table";
import { Thing } from "../parts/Thing";
import { may } from "../session";

type Collection = Row<"/v1/vector_collections">;
type Document = Row<"/v1/vector_documents">;
type Distance = NonNullable<Body<"/v1/commands/automation/CreateVectorCollection">["distance"]>;

const DISTANCES: readonly Distance[] = ["cosine", "dot", "euclid"];
const CATEGORY = "vector_collection";

const toCollection = (id: unknown): string => `/collections/${encodeURIComponent(String(id))}`;

const COLUMNS: readonly Column<Collection>[] = [
  { title: "Collection", sort: "name", cell: (one) => text(one.name) },
  { title: "Status", cell: (one) => <Status of={one.status} /> },
  { title: "Model", cell: (one) => text(one.model) },
  { title: "Numbers", kind: "number spare", cell: (one) => count(Number(one.dimensions ?? 0)) },
  { title: "Distance", kind: "spare", cell: (one) => text(one.distance) },
  { title: "Last change", kind: "spare", cell: (one) => (one.last_change_status ? <Status of={one.last_change_status} /> : "–") },
];

export function Collections() {
  return (
    <>
      <Top title="Collections">{may("automation:write") && <Make label="Create" />}</Top>
      <List
        id="collections"
        title="All collections"
        path="/v1/vector_collections"
        columns={COLUMNS}
        categories={[CATEGORY]}
        filters={{ status: "Status", model: "Model", last_change_status: "Last change" }}
        to={(one) => toCollection(one.id)}
        empty={<Notice>No collections yet. Create one, put documents in, and a tool of the kind vectors.search lets an agent find them.</Notice>}
      />
    </>
  );
}

const KEY: Field = { name: "provider_key", label: "Id of the key of its provider (left out: vectors are given)", isOptional: true };

function Make({ label, of }: { label: string; of?: Record<string, Json> }) {
  const id = String(of?.["id"] ?? "");
  return (
    <Act
      label={label}
      title={of ? `Change ${of["name"]}` : "Create a collection"}
      category={CATEGORY}
      kind={of ? "quiet" : "primary"}
      fields={[
        ...(of ? [] : [{ name: "collection_id", label: "Id" }]),
        { name: "name", label: "Name", value: String(of?.["name"] ?? "") },
        { ...KEY, value: String(of?.["provider_key"] ?? "") },
        ...(of
          ? []
          : ([
              { name: "model", label: "Model that makes the vectors", placeholder: "all-minilm" },
              { name: "dimensions", label: "Numbers of a vector", kind: "number", value: "384" },
              { name: "distance", label: "Distance", kind: "choice", values: DISTANCES },
            ] as const)),
      ]}
      run={({ collection_id = id, name = "", provider_key, model = "", dimensions, distance }, key) => {
        const said = { collection_id, name, provider_key: provider_key || null };
        return of
          ? command("/v1/commands/automation/UpdateVectorCollection", said, key)
          : command("/v1/commands/automation/CreateVectorCollection", { ...said, model, dimensions: Number(dimensions), distance: distance as Distance }, key);
      }}
    >
      {of && <p class="muted">Vectors of another model need another collection.</p>}
    </Act>
  );
}

const DOCUMENTS: readonly Column<Document>[] = [
  { title: "Document", sort: "document_id", cell: (one) => text(one.document_id) },
  { title: "Status", cell: (one) => <Status of={one.status} /> },
  { title: "Changed by", kind: "spare", cell: (one) => text(one.change_id) },
  { title: "Changed", sort: "changed_at", kind: "number", cell: (one) => <Time at={one.changed_at} /> },
  { title: "What to do", kind: "acts", cell: (one) => may("automation:write") && one.status === "IN" && <Delete of={one} /> },
];

export function CollectionRoom() {
  const id = useRoute().params["id"] ?? "";
  return (
    <Thing
      path="/v1/vector_collections/{id}"
      id={id}
      category={CATEGORY}
      title={(one) => String(one.name ?? id)}
      acts={may("automation:write") ? (one) => one.status === "ACTIVE" && <Acts of={one} id={id} /> : undefined}
    >
      {() => (
        <List
          id="documents"
          title="Documents"
          path="/v1/vector_documents"
          columns={DOCUMENTS}
          categories={[CATEGORY]}
          query={{ collection_id: [id] }}
          filters={{ status: "Status" }}
          empty={<Notice>No documents yet. One is in once the task that puts it there is done.</Notice>}
        />
      )}
    </Thing>
  );
}

const Acts = ({ of, id: collection_id }: { of: Record<string, Json>; id: string }) => (
  <>
    <Act
      label="Put a document"
      title="Put a document in, in the place of the one with its id"
      category={CATEGORY}
      kind="primary"
      fields={[
        { name: "id", label: "Id" },
        { name: "text", label: "Text", kind: "long" },
      ]}
      run={({ id = "", text: said = "" }, key) =>
        command("/v1/commands/automation/PutDocuments", { collection_id, change_id: fresh(), documents: [{ id, text: said }] }, key)
      }
    />
    <Make label="Change" of={of} />
    <Act
      label="Archive"
      title="Archive this collection"
      category={CATEGORY}
      fields={[{ name: "reason", label: "Why", isOptional: true }]}
      run={({ reason = "" }, key) => command("/v1/commands/automation/ArchiveVectorCollection", { collection_id, reason }, key)}
    >
      <p class="muted">It takes no more documents; those in it are still found.</p>
    </Act>
  </>
);

const Delete = ({ of }: { of: Document }) => (
  <Act
    label="Delete"
    title={`Take ${of.document_id} out`}
    category={CATEGORY}
    run={(_, key) =>
      command("/v1/commands/automation/DeleteDocuments", { collection_id: String(of.collection_id), change_id: fresh(), ids: [String(of.document_id)] }, key)
    }
  />
);
