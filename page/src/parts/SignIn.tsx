// The form: a user's name and password or their tenant's provider for a session, or an API key for this tab.

import { useEffect, useState } from "preact/hooks";

import { form, providersOf, setPassword, signIn, signInThrough, signInWithKey } from "../session";
import { Choice } from "./bits";

const WAYS = ["API key", "Password", "New password"] as const;
const [BY_KEY, BY_PASSWORD, WITH_TOKEN] = WAYS;

export function SignIn() {
  const [way, setWay] = useState<string>(BY_KEY);
  const [tenant, setTenant] = useState("");
  const [isBusy, setBusy] = useState(false);
  const trying = async (ask: () => Promise<void>): Promise<void> => {
    setBusy(true);
    try {
      await ask();
    } catch (error) {
      form.value = (error as Error).message;
    } finally {
      setBusy(false);
    }
  };
  const submit = (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const said = Object.fromEntries(new FormData(event.target as HTMLFormElement)) as Record<string, string>;
    return trying(async () => {
      const [tenant, user, password] = [(said["tenant"] ?? "").trim(), (said["user"] ?? "").trim(), said["password"] ?? ""];
      if (way === BY_KEY) await signInWithKey((said["key"] ?? "").trim());
      else if (way === BY_PASSWORD) await signIn(tenant, user, password);
      else await setPassword(tenant, user, (said["token"] ?? "").trim(), password);
    });
  };
  return (
    <main id="sign-in" class="sign-in">
      <form onSubmit={submit}>
        <h1>Sign in</h1>
        <Choice name="way" label="Sign in with" of={WAYS} chosen={way} onChoose={setWay} />
        {way === BY_KEY ? (
          <>
            <p>The key was printed when the server started for the first time. It stays in this tab only.</p>
            <label for="key">API key</label>
            <input id="key" name="key" type="password" autocomplete="off" spellcheck={false} required placeholder="ak_….sk_…" autofocus />
          </>
        ) : (
          <>
            <label for="tenant-name">Tenant</label>
            <input
              id="tenant-name"
              name="tenant"
              autocomplete="organization"
              spellcheck={false}
              required
              onChange={(event) => setTenant(event.currentTarget.value.trim())}
            />
            {way === BY_PASSWORD && tenant && <Providers key={tenant} of={tenant} isBusy={isBusy} choose={(id) => trying(() => signInThrough(tenant, id))} />}
            <label for="user">User</label>
            <input id="user" name="user" autocomplete="username" spellcheck={false} required />
            {way === WITH_TOKEN && (
              <>
                <label for="token">Token that you were given</label>
                <input id="token" name="token" autocomplete="off" spellcheck={false} required />
              </>
            )}
            <label for="password">{way}</label>
            <input
              id="password"
              name="password"
              type="password"
              autocomplete={way === WITH_TOKEN ? "new-password" : "current-password"}
              minLength={way === WITH_TOKEN ? 10 : undefined}
              required
            />
          </>
        )}
        {form.value && (
          <p id="sign-in-error" class="error" role="alert">
            {form.value}
          </p>
        )}
        <button type="submit" class="primary" disabled={isBusy}>
          {isBusy ? "Asking…" : "Sign in"}
        </button>
      </form>
    </main>
  );
}

/** The providers of a tenant, once its name is there. */
function Providers({ of, isBusy, choose }: { of: string; isBusy: boolean; choose: (id: string) => void }) {
  const [known, setKnown] = useState<Awaited<ReturnType<typeof providersOf>>>([]);
  useEffect(() => {
    providersOf(of).then(setKnown);
  }, [of]);
  return (
    <>
      {known.map(({ id, name }) => (
        <button key={id} type="button" disabled={isBusy} onClick={() => choose(id)}>
          Sign in with {name}
        </button>
      ))}
    </>
  );
}
