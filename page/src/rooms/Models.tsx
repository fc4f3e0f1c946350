// Language models that agents ask, each with the key of its provider.

import { command, type Row } from "../api";
import { count, text } from "../format";
import { Act } from "../parts/Act";
import { Notice, Status } from "../parts/bits";
import { List } from "../parts/List";
import type { Column } from "../parts/Table";
import { may } from "../session";

type Model = Row<"/v1/models">;

const COLUMNS: readonly Column<Model>[] = [
  { title: "Model", cell: (model) => text(model.name) },
  { title: "Id", kind: "spare", cell: (model) => text(model.id) },
  { title: "Called", cell: (model) => text(model.model) },
  { title: "Key", kind: "spare", cell: (model) => text(model.provider_key) },
  { title: "Tokens at most", kind: "number spare", cell: (model) => count(Number(model.max_tokens ?? 0)) },
  { title: "Status", cell: (model) => <Status of={model.status} /> },
  {
    title: "What to do",
    kind: "acts",
    cell: (model) =>
      may("automation:write") &&
      model.status === "ACTIVE" && (
        <>
          <Register label="Change" of={model} />
          <Act
            label="Retire"
            title={`Retire ${model.name}`}
            category="model"
            fields={[{ name: "reason", label: "Why", isOptional: true }]}
            run={({ reason = "" }, key) => command("/v1/commands/automation/RetireModel", { model_id: String(model.id), reason }, key)}
          />
        </>
      ),
  },
];

export const Models = () => (
  <List
    id="models"
    title="Models"
    path="/v1/models"
    columns={COLUMNS}
    categories={["model"]}
    isShort
    more={may("automation:write") && <Register label="Register a model" />}
    empty={<Notice>No models yet. Register one, with the id of a provider's key that Settings keeps.</Notice>}
  />
);

function Register({ label, of }: { label: string; of?: Model }) {
  return (
    <Act
      label={label}
      title={of ? `Change ${of.name}` : label}
      category="model"
      fields={[
        ...(of ? [] : [{ name: "model_id", label: "Id" }]),
        { name: "name", label: "Name", value: String(of?.name ?? "") },
        { name: "model", label: "What its provider calls it", value: String(of?.model ?? ""), placeholder: "gpt-4o-mini" },
        { name: "provider_key", label: "Id of the provider's key", isOptional: true, value: String(of?.provider_key ?? "") },
        { name: "max_tokens", label: "Tokens of one answer at most", kind: "number", value: String(of?.max_tokens ?? 1024) },
        { name: "temperature", label: "Temperature, 0 to 2", kind: "number", isOptional: true, value: String(of?.temperature ?? "") },
      ]}
      run={({ model_id = String(of?.id ?? ""), name = "", model = "", provider_key, max_tokens, temperature }, key) => {
        const said = {
          model_id,
          name,
          model,
          provider_key: provider_key || null,
          max_tokens: Number(max_tokens),
          temperature: temperature ? Number(temperature) : null,
        };
        return of ? command("/v1/commands/automation/UpdateModel", said, key) : command("/v1/commands/automation/RegisterModel", said, key);
      }}
    />
  );
}
