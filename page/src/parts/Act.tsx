// A button that does something under the caller's name: it asks what the command needs, and says why it was refused.

import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";

import { fresh } from "../api";
import { recorded } from "../news";

export interface Field {
  name: string;
  label: string;
  /** Of "several" any may be chosen; they are said with a blank between them. */
  kind?: "text" | "long" | "number" | "choice" | "several" | "password" | "datetime-local" | "date";
  values?: readonly string[];
  /** What a choice of nothing is called. */
  nothing?: string;
  value?: string;
  isOptional?: boolean;
  placeholder?: string;
}

export type Values = Record<string, string>;

interface Props {
  label: string;
  /** What is asked; "" where nothing needs to be: the press alone does it. */
  title?: string;
  fields?: readonly Field[];
  /** What changes by it: lists of these are asked again. */
  category: string;
  disabled?: boolean;
  kind?: "quiet" | "primary";
  children?: ComponentChildren;
  /** Does it; gives the position of what was recorded. `key` is the same for each attempt that says the same. */
  run(values: Values, key: string): Promise<string | null | Shown>;
}

/** What is shown this once, like a new key. */
export interface Shown {
  position: string | null;
  shown: string;
}

export function Act({ label, title = label, fields = [], category, disabled = false, kind = "quiet", children, run }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [isOpen, setOpen] = useState(false);
  const [opened, setOpened] = useState(0);
  const attempt = useRef({ said: "", key: "" });
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const [shown, setShown] = useState<string | null>(null);

  const open = (): void => {
    setOpened(opened + 1);
    attempt.current = { said: "", key: "" };
    setError("");
    setShown(null);
    setOpen(true);
    dialog.current?.showModal();
  };
  const close = (): void => dialog.current?.close();
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setError("");
    try {
      const form = new FormData(event.target as HTMLFormElement);
      const values = Object.fromEntries([...form.keys()].map((name) => [name, form.getAll(name).map((value) => String(value).trim()).join(" ")]));
      const said = JSON.stringify(values);
      // a key that was answered once would be refused with other words than before
      if (said !== attempt.current.said || !attempt.current.key) attempt.current = { said, key: fresh() };
      const done = await run(values, attempt.current.key);
      const isShown = typeof done === "object" && done !== null;
      recorded(category, isShown ? done.position : done);
      if (isShown) setShown(done.shown);
      else close();
    } catch (failure) {
      setError((failure as Error).message);
    } finally {
      setBusy(false);
    }
  };

  return (
    <>
      <button type="button" class={kind} disabled={disabled} onClick={open}>
        {label}
      </button>
      <dialog ref={dialog} class="act" aria-label={title} onClose={() => setOpen(false)}>
        {isOpen && shown !== null && (
          <form method="dialog">
            <h2>{title}</h2>
            <p class="muted">This is shown once. Keep it.</p>
            <pre class="once" tabIndex={0} aria-label="Shown once">
              {shown}
            </pre>
            <div class="acts">
              <button type="submit" class="primary">
                Close
              </button>
            </div>
          </form>
        )}
        {isOpen && shown === null && (
          <form onSubmit={submit} key={opened}>
            <h2>{title}</h2>
            {children}
            {fields.map((field) =>
              field.kind === "several" ? (
                <Several key={field.name} {...field} />
              ) : (
                <label key={field.name}>
                  {field.label}
                  <Input {...field} />
                </label>
              ),
            )}
            {error && (
              <p class="error" role="alert">
                {error}
              </p>
            )}
            <div class="acts">
              <button type="button" class="quiet" onClick={close}>
                {label === "Cancel" ? "Keep it" : "Cancel"}
              </button>
              <button type="submit" class="primary" disabled={isBusy}>
                {isBusy ? "Working…" : label}
              </button>
            </div>
          </form>
        )}
      </dialog>
    </>
  );
}

function Several({ name, label, values = [], value = "" }: Field) {
  const chosen = value.split(" ");
  return (
    <fieldset class="several">
      <legend>{label}</legend>
      <div>
        {values.map((one) => (
          <label key={one}>
            <input type="checkbox" name={name} value={one} defaultChecked={chosen.includes(one)} />
            {one}
          </label>
        ))}
      </div>
    </fieldset>
  );
}

export function Input({ name, kind = "text", values = [], value, isOptional = false, placeholder, nothing }: Field) {
  if (kind === "long") {
    return <textarea name={name} rows={8} required={!isOptional} placeholder={placeholder} defaultValue={value} spellcheck={false} />;
  }
  if (kind === "choice") {
    return (
      <select name={name}>
        {values.map((one) => (
          <option key={one} value={one} selected={one === value}>
            {one || nothing}
          </option>
        ))}
      </select>
    );
  }
  const step = kind === "number" ? "any" : undefined;
  return <input name={name} type={kind as "text"} step={step} required={!isOptional} placeholder={placeholder} defaultValue={value} autocomplete="off" />;
}
