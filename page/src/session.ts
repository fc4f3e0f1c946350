// Who asks, and what they may do: by a key of this tab, or by the cookie of a session.

import { computed, signal } from "@preact/signals";

import { ask, client, forgetKey, refused, storeKey, storedKey } from "./api";

// the cookie itself cannot be seen from here; without this mark nobody is asked who has nothing to show
const SIGNED_IN = "factline.session";

const LINKING = "factline.linking";

/** How it ended that somebody linked who they are at a provider: "" where it is done, else why it is not. */
export const linked = signal<string | null>(null);

type Me = Awaited<ReturnType<typeof whoAmI>>;

export const me = signal<Me | null>(null);
/** Why the form is shown, "" where nobody tried yet; null while it is not shown. */
export const form = signal<string | null>(null);

const whoAmI = () => ask(client.GET("/v1/me"));

const scopes = computed(() => new Set(me.value?.may ?? []));

/** Tells if the caller may do what asks for one of these scopes, like `devices:read`. */
export function may(...any: readonly string[]): boolean {
  const wide = any.map((scope) => `${scope.slice(0, scope.indexOf(":"))}:*`);
  return ["*", ...wide, ...any].some((one) => scopes.value.has(one));
}

export const isOperator = (): boolean => me.value?.tenant_id === "system";

/** History of a thing: a key sees it with the scope of the thing, a user needs a right of its own. */
export const mayAudit = (): boolean => may("audit:read");

export async function begin(): Promise<void> {
  takeKeyFromAddress();
  takeOutcomeFromAddress();
  if (!storedKey() && !localStorage.getItem(SIGNED_IN)) {
    form.value ??= "";
    return;
  }
  me.value = await whoAmI();
}

export async function signInWithKey(key: string): Promise<void> {
  storeKey(key);
  await whoAmI();
  // a fresh page: nothing of another tenant's is left on it
  location.reload();
}

export async function signIn(tenant_id: string, user_id: string, password: string): Promise<void> {
  forgetKey();
  await ask(client.POST("/v1/sign-in", { body: { tenant_id, user_id, password } }));
  localStorage.setItem(SIGNED_IN, tenant_id);
  location.reload();
}

/** Gives the providers through which people of a tenant sign in, none where that cannot be known. */
export async function providersOf(tenant_id: string): Promise<readonly { id: string; name: string }[]> {
  try {
    const { providers } = await ask(client.GET("/v1/sign-in/{tenant_id}", { params: { path: { tenant_id } } }));
    return (providers ?? []).map((one) => ({ id: one?.provider_id ?? "", name: one?.name ?? "" }));
  } catch {
    // the name is not one, or not whole yet
    return [];
  }
}

/** Leaves this page for that of a provider, which sends the browser back; with `link` who is signed in stays so. */
export async function signInThrough(tenant_id: string, provider_id: string, { link = false } = {}): Promise<void> {
  if (!link) forgetKey();
  const path = { tenant_id, provider_id };
  const { location: away } = await ask(client.POST("/v1/sign-in/{tenant_id}/{provider_id}", { params: { path }, body: { link } }));
  if (!away) return;
  if (link) sessionStorage.setItem(LINKING, provider_id);
  location.assign(away);
}

const NOT_IN: Readonly<Record<string, string>> = {
  state: "that sign-in is over or was not begun in this browser; begin again",
  denied: "the provider did not let you in",
  provider: "the provider gave no answer that counts; try again later",
  token: "the provider did not say for sure who you are",
  unknown: "nobody of this tenant is invited with your address there, or linked with who you are there",
  email: "the provider has not verified your address",
};

const NOT_LINKED: Readonly<Record<string, string>> = {
  unknown: "your user has changed meanwhile; try again",
};

/** Takes from the address what the server says of somebody who comes back from a provider. */
function takeOutcomeFromAddress(): void {
  const said = new URLSearchParams(location.hash.slice(1));
  const [tenant, why] = [said.get("signed-in"), said.get("sign-in-failed")];
  if (tenant === null && why === null) return;
  history.replaceState(null, "", location.pathname + location.search);
  const wasLinking = sessionStorage.getItem(LINKING) !== null;
  sessionStorage.removeItem(LINKING);
  if (wasLinking) {
    // they are signed in as before, also where it failed
    linked.value = why === null ? "" : (NOT_LINKED[why] ?? NOT_IN[why] ?? "it failed");
    history.replaceState(null, "", "/account");
  } else if (tenant !== null) {
    forgetKey();
    localStorage.setItem(SIGNED_IN, tenant);
  } else {
    forget();
    form.value = NOT_IN[why ?? ""] ?? "you are not signed in";
  }
}

/** Sets a password with the token of an invitation, or of whoever manages the tenant, and signs in with it. */
export async function setPassword(tenant_id: string, user_id: string, token: string, password: string): Promise<void> {
  forgetKey();
  await ask(client.POST("/v1/passwords", { body: { tenant_id, user_id, token, password } }));
  await signIn(tenant_id, user_id, password);
}

export async function signOut(): Promise<void> {
  const isSession = me.value?.credential?.type === "session";
  if (isSession) await ask(client.POST("/v1/sign-out"));
  forget();
  location.reload();
}

function forget(): void {
  forgetKey();
  localStorage.removeItem(SIGNED_IN);
}

function takeKeyFromAddress(): void {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (!key) return;
  history.replaceState(null, "", location.pathname + location.search);
  storeKey(key);
}

refused.addEventListener("refused", (event) => {
  forget();
  me.value = null;
  form.value = (event as CustomEvent<string>).detail;
});

addEventListener("hashchange", () => {
  if (!location.hash.startsWith("#key=")) return;
  takeKeyFromAddress();
  location.reload();
});
