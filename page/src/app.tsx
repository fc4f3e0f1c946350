// The frame of every room: the rail, what is said above and below, the way to the rooms, and a stream's history beside them.

import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { LocationProvider, Route, Router, useLocation } from "preact-iso";

import { Failure, Notice } from "./parts/bits";
import { Health } from "./parts/Health";
import { HistoryPanel } from "./parts/History";
import { FIND, Search } from "./parts/Search";
import { SignIn } from "./parts/SignIn";
import { beginNews, connection, endNews } from "./news";
import { ROOMS } from "./rooms";
import { Account } from "./rooms/Account";
import { AgentRoom, AgentRunRoom, Agents } from "./rooms/Agents";
import { Alerts } from "./rooms/Alerts";
import { Budgets } from "./rooms/Budgets";
import { CollectionRoom, Collections } from "./rooms/Collections";
import { ConnectorRoom } from "./rooms/Connectors";
import { ContentQueue, ContentRoom } from "./rooms/Content";
import { ConversationRoom, Conversations } from "./rooms/Conversations";
import { CustomerRoom, Customers } from "./rooms/Customers";
import { Device } from "./rooms/Device";
import { Devices } from "./rooms/Devices";
import { Events } from "./rooms/Events";
import { ExecutionRoom } from "./rooms/Execution";
import { Import } from "./rooms/Import";
import { ChangeRoom, Integrations } from "./rooms/Integrations";
import { Invoice } from "./rooms/Invoice";
import { Invoices } from "./rooms/Invoices";
import { LeadRoom, Leads } from "./rooms/Leads";
import { Logs } from "./rooms/Logs";
import { Maintenance } from "./rooms/Maintenance";
import { OrganizationRoom, Organizations } from "./rooms/Organizations";
import { Overview } from "./rooms/Overview";
import { QuoteRoom, Quotes } from "./rooms/Quotes";
import { ReleaseRoom, Releases } from "./rooms/Releases";
import { RunRoom, RunsRoom } from "./rooms/Runs";
import { ScriptRoom, Scripts } from "./rooms/Scripts";
import { Settings } from "./rooms/Settings";
import { System } from "./rooms/System";
import { TaskRoom, Tasks } from "./rooms/Tasks";
import { Team } from "./rooms/Team";
import { ToolExecutionRoom, ToolRoom, Tools } from "./rooms/Tools";
import { TransactionRoom, Transactions } from "./rooms/Transactions";
import { Watches, WatchRoom } from "./rooms/Watches";
import { WebhookRoom } from "./rooms/Webhooks";
import { ExecutionsRoom, WorkflowRoom, Workflows } from "./rooms/Workflows";
import { begin, form, may, me, signOut } from "./session";

// other addresses of this server, like /docs, are no rooms
const SCOPE = new RegExp(`^/(${ROOMS.map(({ path }) => path.slice(1)).filter(Boolean).join("|")})?(/|\\?|$)`);

const AT: Readonly<Record<string, ComponentType>> = {
  "/": Overview,
  "/devices": Devices,
  "/devices/:id": Device,
  "/alerts": Alerts,
  "/watches": Watches,
  "/watches/:id": WatchRoom,
  "/maintenance": Maintenance,
  "/logs": Logs,
  "/scripts": Scripts,
  "/scripts/:id": ScriptRoom,
  "/runs": RunsRoom,
  "/runs/:id": RunRoom,
  "/releases": Releases,
  "/releases/:id": ReleaseRoom,
  "/organizations": Organizations,
  "/organizations/:id": OrganizationRoom,
  "/leads": Leads,
  "/leads/:id": LeadRoom,
  "/quotes": Quotes,
  "/quotes/:id": QuoteRoom,
  "/team": Team,
  "/customers": Customers,
  "/customers/:id": CustomerRoom,
  "/invoices": Invoices,
  "/invoices/:id": Invoice,
  "/transactions": Transactions,
  "/transactions/:id": TransactionRoom,
  "/budgets": Budgets,
  "/content": ContentQueue,
  "/content/:id": ContentRoom,
  "/workflows": Workflows,
  "/workflows/:id": WorkflowRoom,
  "/executions": ExecutionsRoom,
  "/executions/:id": ExecutionRoom,
  "/agents": Agents,
  "/agents/runs/:id": AgentRunRoom,
  "/agents/:id": AgentRoom,
  "/conversations": Conversations,
  "/conversations/:id": ConversationRoom,
  "/collections": Collections,
  "/collections/:id": CollectionRoom,
  "/tools": Tools,
  "/tools/executions/:id": ToolExecutionRoom,
  "/tools/:id": ToolRoom,
  "/tasks": Tasks,
  "/tasks/:id": TaskRoom,
  "/events": Events,
  "/import": Import,
  "/integrations": Integrations,
  "/integrations/webhooks/:id": WebhookRoom,
  "/integrations/connectors/:id": ConnectorRoom,
  "/integrations/changes/:id": ChangeRoom,
  "/system": System,
  "/settings": Settings,
  "/account": Account,
};

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
            {Object.entries(AT).map(([path, component]) => (
              <Route key={path} path={path} component={component} />
            ))}
            <Route default component={Nothing} />
          </Router>
        </main>
        <HistoryPanel />
        <Search />
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
      {me.value && (
        <button type="button" id="find" class="quiet" onClick={() => dispatchEvent(new Event(FIND))}>
          Find <kbd class="spare">Ctrl K</kbd>
        </button>
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
      {ROOMS.filter(({ scopes }) => !scopes.length || may(...scopes)).map(({ path: to, title, icon }) => (
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
