// The rooms of the rail, in its order. `scopes`: one of them is needed to be shown the way.

export interface Room {
  path: string;
  title: string;
  scopes: readonly string[];
  /** A path of an SVG of 24 by 24. */
  icon: string;
}

export const ROOMS: readonly Room[] = [
  { path: "/", title: "Overview", scopes: [], icon: "M4 4h7v9H4zM13 4h7v5h-7zM13 11h7v9h-7zM4 15h7v5H4z" },
  { path: "/devices", title: "Devices", scopes: ["devices:read"], icon: "M3 5h18v11H3zM8 20h8M12 16v4" },
  { path: "/alerts", title: "Alerts", scopes: ["alerts:read"], icon: "M6 16V11a6 6 0 0 1 12 0v5l2 2H4zM10 20h4" },
  { path: "/watches", title: "Watches", scopes: ["watches:read"], icon: "M2 12s4-7 10-7 10 7 10 7-4 7-10 7S2 12 2 12zM9 12a3 3 0 1 0 6 0 3 3 0 0 0-6 0" },
  { path: "/maintenance", title: "Maintenance", scopes: ["watches:read"], icon: "M14 6a4 4 0 0 0-5 5l-6 6 3 3 6-6a4 4 0 0 0 5-5l-2.500 2.500-3-3z" },
  { path: "/logs", title: "Logs", scopes: ["logs:read"], icon: "M4 6h16M4 10h10M4 14h16M4 18h7" },
  { path: "/scripts", title: "Scripts", scopes: ["scripts:read"], icon: "M4 5h16v14H4zM7 10l3 2.500-3 2.500M12 15h5" },
  { path: "/runs", title: "Runs", scopes: ["scripts:read"], icon: "M12 3a9 9 0 1 0 0 18 9 9 0 1 0 0-18M10 8l6 4-6 4z" },
  { path: "/releases", title: "Agent releases", scopes: ["agent_releases:read"], icon: "M12 15V4M8 8l4-4 4 4M4 15v5h16v-5" },
  { path: "/organizations", title: "Organizations", scopes: ["organizations:read"], icon: "M5 21V4h9v17M14 9h5v12M3 21h18M8 8h3M8 12h3M8 16h3" },
  { path: "/leads", title: "Leads", scopes: ["leads:read"], icon: "M4 4h4v16H4zM10 4h4v11h-4zM16 4h4v7h-4z" },
  { path: "/quotes", title: "Quotes", scopes: ["quotes:read"], icon: "M5 3h10l4 4v14H5zM9 11h6M9 15h6" },
  { path: "/team", title: "Sales team", scopes: ["representatives:read"], icon: "M6 8a3 3 0 1 0 6 0 3 3 0 0 0-6 0M3 20c0-4 3-6 6-6s6 2 6 6M15 5a3 3 0 0 1 0 6M17 14c3 1 4 3 4 6" },
  { path: "/customers", title: "Customers", scopes: ["customers:read"], icon: "M8 9a4 4 0 1 0 8 0 4 4 0 0 0-8 0M4 21c0-4 4-6 8-6s8 2 8 6" },
  { path: "/invoices", title: "Invoices", scopes: ["invoices:read"], icon: "M6 3h12v18l-3-2-3 2-3-2-3 2zM9 8h6M9 12h6" },
  { path: "/transactions", title: "Bank", scopes: ["invoices:read"], icon: "M3 10l9-6 9 6zM5 10v8M10 10v8M14 10v8M19 10v8M3 20h18" },
  { path: "/budgets", title: "Budgets", scopes: ["budgets:read"], icon: "M12 3v9l7 5M12 3a9 9 0 1 0 9 9" },
  { path: "/content", title: "Content", scopes: ["content:read"], icon: "M4 20l1-5L16 4l4 4L9 19zM13 7l4 4" },
  { path: "/workflows", title: "Workflows", scopes: ["workflows:read", "workflows:own"], icon: "M4 4h6v5H4zM14 15h6v5h-6zM10 6h4v11" },
  { path: "/executions", title: "Executions", scopes: ["executions:read", "executions:own"], icon: "M6 4l13 8-13 8z" },
  { path: "/agents", title: "Agents", scopes: ["agents:read"], icon: "M6 9h12v10H6zM12 9V5M9 13h.01M15 13h.01M10 16h4M3 13v3M21 13v3" },
  { path: "/conversations", title: "Conversations", scopes: ["conversations:read", "conversations:own"], icon: "M4 5h16v11H10l-5 4v-4H4zM8 9h8M8 12h5" },
  { path: "/collections", title: "Collections", scopes: ["vector_collections:read"], icon: "M4 7l8-4 8 4-8 4zM4 12l8 4 8-4M4 17l8 4 8-4" },
  { path: "/tools", title: "Tools", scopes: ["tools:read"], icon: "M4 8h16v12H4zM9 8V5h6v3M4 13h16" },
  { path: "/tasks", title: "Tasks", scopes: ["tasks:read"], icon: "M4 6l2 2 3-4M4 14l2 2 3-4M12 7h8M12 15h8" },
  { path: "/events", title: "Events", scopes: ["audit:read"], icon: "M12 7v5l3 2M21 12a9 9 0 1 1-3-6.7M21 3v5h-5" },
  { path: "/import", title: "Import", scopes: ["finance:write", "telemetry:write"], icon: "M12 3v12M7 10l5 5 5-5M4 20h16" },
  {
    path: "/integrations",
    title: "Integrations",
    scopes: ["webhook_endpoints:read", "connectors:read", "received_changes:read"],
    icon: "M4 8h12M13 5l3 3-3 3M20 16H8M11 13l-3 3 3 3",
  },
  { path: "/system", title: "System", scopes: ["ops:read"], icon: "M4 5h16v6H4zM4 13h16v6H4zM8 8h.01M8 16h.01" },
  { path: "/settings", title: "Settings", scopes: ["users:read"], icon: "M4 7h9M17 7h3M13 4v6M4 17h3M11 17h9M7 14v6" },
  { path: "/account", title: "Account", scopes: [], icon: "M9 9a3 3 0 1 0 6 0 3 3 0 0 0-6 0M12 3a9 9 0 1 0 0 18 9 9 0 1 0 0-18M6 18c1-3 4-4 6-4s5 1 6 4" },
];
