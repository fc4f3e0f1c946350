// Files are imported by dropping them here: first the server says what it would take, then it takes it.

import { useEffect, useRef, useState } from "preact/hooks";

import { useAddress } from "../address";
import { count, plural, text } from "../format";
import { dropped, KINDS, take, type Kind, type Progress, type Refused, type Result } from "../imports";
import { Input, type Field } from "../parts/Act";
import { Card, Choice, Facts, Failure, Notice, Top } from "../parts/bits";
import { Table, type Column } from "../parts/Table";
import { again } from "../news";
import { may } from "../session";

const ENCODINGS = ["utf-8", "utf-16", "cp1252", "latin-1"];

const FIELDS: Readonly<Record<Kind, readonly Field[]>> = {
  invoices: [
    { name: "direction", label: "Out: ours; in: sent to us", kind: "choice", values: ["out", "in"] },
    { name: "currency", label: "Currency, if not said", isOptional: true, placeholder: "EUR" },
    { name: "date_format", label: "Dates are written like", isOptional: true, placeholder: "%d.%m.%Y" },
    { name: "decimal", label: "Before decimals stands", kind: "choice", values: ["", ".", ","], nothing: "what the file shows" },
    { name: "correct", label: "Correct what is recorded otherwise", kind: "choice", values: ["false", "true"] },
  ],
  metrics: [
    { name: "device", label: "Device, if not said", isOptional: true },
    { name: "metric", label: "What was measured", isOptional: true, placeholder: "cpu_percent" },
    { name: "unit", label: "Unit", isOptional: true, placeholder: "percent" },
  ],
  logs: [
    { name: "device", label: "Device, if not said", isOptional: true },
    { name: "year", label: "Year, if not said", kind: "number", isOptional: true },
  ],
};
const SHARED: readonly Field[] = [
  { name: "timezone", label: "Time zone, if not said", value: "UTC" },
  { name: "encoding", label: "Encoding", kind: "choice", values: ENCODINGS },
];

const WHAT: Readonly<Record<Kind, string>> = {
  invoices: "A CSV file with a row for each line of an invoice: InvoiceNo, StockCode, Description, Quantity, InvoiceDate, UnitPrice, CustomerID, Country.",
  metrics: "A CSV file with a column timestamp and columns of numbers, or lines of Prometheus or InfluxDB.",
  logs: "Lines of syslog, of a web server, of journald, or JSON lines.",
};

export const mayImport = (kind: Kind): boolean => (kind === "invoices" ? may("finance:write") : may("telemetry:write") && may("fleet:write"));

export function Import() {
  const { query, set } = useAddress();
  const kinds = KINDS.filter(mayImport);
  const kind = kinds.find((one) => one === query["kind"]) ?? kinds[0];
  const [files, setFiles] = useState<readonly File[]>([]);
  const [said, setSaid] = useState<Record<string, string>>({});
  const [isOver, setOver] = useState(false);
  useEffect(() => {
    if (!dropped.value.length) return;
    setFiles(dropped.value);
    dropped.value = [];
  }, [dropped.value]);
  useEffect(() => setSaid({}), [kind]);
  if (!kind) return <Notice>You may not import anything.</Notice>;
  const drop = (event: DragEvent): void => {
    event.preventDefault();
    setOver(false);
    setFiles([...(event.dataTransfer?.files ?? [])]);
  };
  return (
    <>
      <Top title="Import" />
      <Card
        id="import"
        title="A file of"
        more={
          <Choice
            name="kind"
            label="What is in the file"
            of={kinds}
            chosen={kind}
            onChoose={(chosen) => {
              setFiles([]);
              set({ kind: chosen });
            }}
          />
        }
      >
        <p class="muted">{WHAT[kind]}</p>
        <form
          key={kind}
          class="fields"
          onSubmit={(event) => event.preventDefault()}
          onChange={(event) => setSaid(Object.fromEntries(new FormData(event.currentTarget)) as Record<string, string>)}
        >
          {[...FIELDS[kind], ...SHARED].map((field) => (
            <label key={field.name}>
              {field.label}
              <Input {...field} />
            </label>
          ))}
        </form>
        <label
          class={isOver ? "drop over" : "drop"}
          onDragOver={(event) => {
            event.preventDefault();
            setOver(true);
          }}
          onDragLeave={() => setOver(false)}
          onDrop={drop}
        >
          Drop files here, or choose them
          <input type="file" multiple onChange={(event) => setFiles([...(event.currentTarget.files ?? [])])} />
        </label>
      </Card>
      {files.map((file) => (
        <OneFile key={`${kind} ${file.name} ${file.size} ${file.lastModified}`} kind={kind} file={file} said={said} />
      ))}
      {!files.length && <Notice>A file is checked first: you see what would be taken, and which lines are refused and why. Nothing is recorded before you say so.</Notice>}
    </>
  );
}

interface Standing {
  step: "checking" | "checked" | "importing" | "imported";
  progress: Progress;
  result: Result | null;
  error: Error | null;
}

const NOTHING: Progress = { done: 0, total: 0, refused: [] };

function OneFile({ kind, file, said }: { kind: Kind; file: File; said: Record<string, string> }) {
  const [{ step, progress, result, error }, show] = useState<Standing>({ step: "checking", progress: NOTHING, result: null, error: null });
  const options = {
    ...said,
    name: file.name.replace(/[\u0000-\u001f\u007f/]/g, " ").slice(0, 200),
    ...(kind === "invoices" ? {} : { modified: new Date(file.lastModified).toISOString() }),
  };
  const newest = useRef(0);
  const go = async (check: boolean): Promise<void> => {
    const mine = ++newest.current;
    // what an earlier question finds is not shown any more
    const setStanding = (change: Standing | ((before: Standing) => Standing)): void => {
      if (mine === newest.current) show(change);
    };
    setStanding({ step: check ? "checking" : "importing", progress: NOTHING, result: null, error: null });
    const tell = (now: Progress): void => setStanding((before) => ({ ...before, progress: now }));
    try {
      const found = await take(kind, file, { ...options, check: String(check) }, tell);
      setStanding((before) => ({ ...before, step: check ? "checked" : "imported", result: found }));
      if (!check) again();
    } catch (failure) {
      setStanding((before) => ({ ...before, step: check ? "checking" : "importing", error: failure as Error }));
    }
  };
  // what is said of a file changes how it is read
  useEffect(() => {
    if (step !== "importing") void go(true);
  }, [JSON.stringify(said)]);
  const isAtWork = (step === "checking" || step === "importing") && !error;
  return (
    <Card
      id={`file-${file.name.replace(/\W/g, "-")}`}
      title={file.name}
      more={
        step === "checked" &&
        Boolean(result?.accepted) && (
          <button type="button" class="primary" onClick={() => void go(false)}>
            {`Import ${plural(result?.accepted ?? 0, "row")}`}
          </button>
        )
      }
    >
      {error && <Failure of={error} retry={() => void go(step === "checking")} />}
      {isAtWork && (
        <p class="notice" role="status">
          {step === "checking" ? "Checking… " : "Importing: you may leave, it goes on. "}
          <progress max={progress.total || 1} value={progress.done} aria-label={`How much of ${file.name} is done`} />{" "}
          {progress.total > 0 && `${count(progress.done)} of ${count(progress.total)}`}
        </p>
      )}
      {result && <Account of={result} isCheck={step === "checked"} refused={progress.refused} />}
    </Card>
  );
}

const REFUSED: readonly Column<Refused>[] = [
  { title: "Line", kind: "number", cell: (row) => count(row.line) },
  { title: "Why it is refused", kind: "what", cell: (row) => row.reason },
];

function Account({ of, isCheck, refused }: { of: Result; isCheck: boolean; refused: readonly Refused[] }) {
  return (
    <>
      <p class={of.problem ? "error" : "notice"} role="status">
        {of.problem ??
          (isCheck
            ? "This is what the file says; nothing is recorded yet."
            : "Recorded. The same file again adds nothing.")}
      </p>
      <Facts
        of={[
          ["Rows read", count(of.rows_read)],
          [isCheck ? "Would be taken" : "Accepted", count(of.accepted)],
          [isCheck ? "Stand twice in the file" : "Recorded before", count(of.repeated)],
          ["Refused", count(of.refused)],
          ...(of.without_an_answer ? ([["Without an answer", count(of.without_an_answer)]] as const) : []),
          ["Data ends on", text(of.latest)],
        ]}
      />
      {of.notes.length > 0 && (
        <ul class="notes">
          {of.notes.map((note) => (
            <li key={note}>{note}</li>
          ))}
        </ul>
      )}
      {refused.length > 0 && (
        <>
          <h3>{of.refused > refused.length ? `The first ${count(refused.length)} of ${plural(of.refused, "refused row")}` : "Refused rows"}</h3>
          <Table columns={REFUSED} rows={refused} keyOf={(row) => `${row.line} ${row.reason}`} />
        </>
      )}
    </>
  );
}
