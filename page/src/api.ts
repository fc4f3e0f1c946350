// Questions and commands to the API. The key lives in this tab's session storage and goes into a header, never into an address.

import createClient from "openapi-fetch";

import type { paths } from "./schema";

const KEY = "factline.key";

export class ApiError extends Error {
  constructor(
    readonly status: number,
    detail: string,
  ) {
    super(detail);
  }
}

/** Says "this credential is not good": whoever listens shows the form. */
export const refused = new EventTarget();

export const storedKey = (): string | null => sessionStorage.getItem(KEY);
export const storeKey = (key: string): void => sessionStorage.setItem(KEY, key);
export const forgetKey = (): void => sessionStorage.removeItem(KEY);

/** Sends a request with the key of this tab, or with the cookie of the session where there is none. */
export async function send(request: Request): Promise<Response> {
  const key = storedKey();
  if (key) request.headers.set("X-API-Key", key);
  try {
    return await fetch(request, { cache: "no-store" });
  } catch (error) {
    if (error instanceof Error && error.name === "AbortError") throw error;
    throw new ApiError(0, "the server does not answer");
  }
}

export const client = createClient<paths, "application/json">({ fetch: send });

export function failed(status: number, problem: unknown): ApiError {
  const detail = (problem as { detail?: unknown } | null | undefined)?.detail;
  const failure = new ApiError(status, typeof detail === "string" ? detail : `the server answered ${status}`);
  if (status === 401) refused.dispatchEvent(new CustomEvent("refused", { detail: failure.message }));
  return failure;
}

/** Gives the answer itself. Throws ApiError. */
export async function ask<T>(asking: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await asking;
  if (!response.ok) throw failed(response.status, error);
  return data as T;
}

export type Json = string | number | boolean | null | undefined | Json[] | { [field: string]: Json };

type Rows = { responses: { 200: { content: { "application/json": { rows: unknown[] } } } } };

/** The paths that answer with rows. */
export type TablePath = {
  [P in keyof paths]: paths[P] extends { get: Rows } ? P : never;
}[keyof paths];

/** A row as the API describes it, and whatever else it has. */
export type Row<P extends TablePath> = paths[P] extends {
  get: { responses: { 200: { content: { "application/json": { rows: (infer R)[] } } } } };
}
  ? R & { [field: string]: Json }
  : never;

type Said<Q> = [NonNullable<Q>] extends [never] ? Record<never, never> : NonNullable<Q>;
export type Query<P extends keyof paths> = paths[P] extends { get: { parameters: { query?: infer Q } } } ? Said<Q> : never;

export interface Table<R> {
  rows: R[];
  next: string | null;
  as_of: { at: string; positions: string[] };
  [more: string]: unknown;
}

export interface Asked {
  /** Wait until the answer includes it. */
  position?: string | null | undefined;
  signal?: AbortSignal;
}

/** Asks for a table; `at` fills what the path names in braces. */
export function table<P extends TablePath>(path: P, query: Query<P>, at: Record<string, string> = {}, { position, signal }: Asked = {}) {
  const said = Object.fromEntries(Object.entries<unknown>(query).filter(([, value]) => value !== "" && value !== undefined && value !== null));
  const params = { query: said, path: at, header: position ? { "X-Consistent-With": position } : {} };
  const asking = client.GET(path as "/v1/devices", { params: params as never, signal: signal ?? null });
  return ask(asking) as unknown as Promise<Table<Row<P>>>;
}

export type CommandPath = Extract<keyof paths, `/v1/commands/${string}`>;
export type Body<P extends CommandPath> = paths[P] extends { post: { requestBody: { content: { "application/json": infer B } } } }
  ? B
  : never;

/** A name of its own, also where the page came without TLS and `crypto.randomUUID` is missing. */
export function fresh(): string {
  return [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Executes a command; sent again with the same `key` it gets its first answer. Gives the position of what it recorded. */
export async function command<P extends CommandPath>(path: P, body: Body<P>, key: string = fresh()): Promise<string | null> {
  const params = { header: { "Idempotency-Key": key } };
  const reply = await ask(client.POST(path as "/v1/commands/fleet/TagDevice", { body: body as never, params }));
  return reply.position?.token ?? null;
}
