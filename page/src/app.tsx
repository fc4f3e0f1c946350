// The frame of every room: the rail, what is said above and below, the way to the rooms, and a stream's history beside them.

import { useEffect, useState } from "preact/hooks";
import { LocationProvider, Route, Router, useLocation } from "preact-iso";

import { Failure, Notice } from "./parts/bits";
import { Health } from "./parts/Health";
import { HistoryPanel } from "./parts/History";
import { SignIn } from "./parts/SignIn";
import { beginNews, connection, endNews } from "./news";
import { ROOMS } from "./rooms";
import { Alerts } from "./rooms/Alerts";
import { Device } from "./rooms/Device";
import { Devices } from "./rooms/Devices";
import { Events } from "./rooms/Events";
import { Invoice } from "./rooms/Invoice";
import { Invoices } from "./rooms/Invoices";
import { Logs } from "./rooms/Logs";
import { Overview } from "./rooms/Overview";
import { System } from "./rooms/System";
import { begin, form, may, me, signOut } from "./session";

// other addresses of this server, like /docs, are no rooms
const SCOPE = new RegExp(`^/(${ROOMS.map(({ path }) => path.slice(1)).filter(Boolean).join("|")})?(/|\\?|$)`);

export function App() {
  const [error, setError] = useState<Error | null>(null);
  const start = (): void => {
    setError(null);
    // a refusal shows the form already
    begin().catch((failure: Error) => setError(failure));
  };
  useEffect(start, []);
  const isIn = me.value !== null;
  useEffect(() => {
    if (!isIn) return;
    beginNews();
    return endNews;
  }, [isIn]);
  if (form.value !== null) {
    return (
      <div class="out">
        <Head />
        <SignIn />
      </div>
    );
  }
  if (!isIn) return <main class="wait">{error ? <Failure of={error} retry={start} /> : <Notice>Loading…</Notice>}</main>;
  return (
    <LocationProvider scope={SCOPE}>
      <div class="frame">
        <Rail />
        <Head />
        <main id="board">
          <Router>
            <Route path="/" component={Overview} />
            <Route path="/devices" component={Devices} />
            <Route path="/devices/:id" component={Device} />
            <Route path="/alerts" component={Alerts} />
            <Route path="/logs" component={Logs} />
            <Route path="/invoices" component={Invoices} />
            <Route path="/invoices/:id" component={Invoice} />
            <Route path="/events" component={Events} />
            <Route path="/system" component={System} />
            <Route default component={Nothing} />
          </Router>
        </main>
        <HistoryPanel />
        <footer class="bar">
          {may("ops:read") ? <Health /> : <p id="health" />}
          <p>All times are UTC</p>
        </footer>
      </div>
    </LocationProvider>
  );
}

const LABELS = { off: "", live: "Live", reconnecting: "Reconnecting…", paused: "Paused", asking: "Every 15 s" };

function Head() {
  const { state, detail } = connection.value;
  return (
    <header class="bar">
      <p class="name">
        <img src="/page/icon.svg" alt="" width="22" height="22" /> factline
      </p>
      <p id="tenant">{me.value?.tenant_id}</p>
      {state !== "off" && (
        <p id="connection" class={`badge ${state}`} role="status" title={detail}>
          {LABELS[state]}
        </p>
      )}
      <div class="who">
        {me.value && <span class="muted spare">{me.value.actor?.id}</span>}
        <a href="/docs">API</a>
        {me.value && (
          <button type="button" id="sign-out" class="quiet" onClick={signOut}>
            Sign out
          </button>
        )}
      </div>
    </header>
  );
}

function Rail() {
  const { path } = useLocation();
  return (
    <nav class="rail" aria-label="Rooms">
      {ROOMS.filter(({ scope }) => scope === null || may(scope)).map(({ path: to, title, icon }) => (
        <a key={to} href={to} aria-current={(to === "/" ? path === to : `${path}/`.startsWith(`${to}/`)) ? "page" : undefined}>
          <svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true">
            <path d={icon} />
          </svg>
          {title}
        </a>
      ))}
    </nav>
  );
}

const Nothing = () => (
  <>
    <h1>Nothing is at this address</h1>
    <p class="notice">
      <a href="/">Overview</a>
    </p>
  </>
);
