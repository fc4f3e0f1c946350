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
  { path: "/logs", title: "Logs", scopes: ["logs:read"], icon: "M4 6h16M4 10h10M4 14h16M4 18h7" },
  { path: "/leads", title: "Leads", scopes: ["leads:read"], icon: "M4 4h4v16H4zM10 4h4v11h-4zM16 4h4v7h-4z" },
  { path: "/quotes", title: "Quotes", scopes: ["quotes:read"], icon: "M5 3h10l4 4v14H5zM9 11h6M9 15h6" },
  { path: "/customers", title: "Customers", scopes: ["customers:read"], icon: "M8 9a4 4 0 1 0 8 0 4 4 0 0 0-8 0M4 21c0-4 4-6 8-6s8 2 8 6" },
  { path: "/invoices", title: "Invoices", scopes: ["invoices:read"], icon: "M6 3h12v18l-3-2-3 2-3-2-3 2zM9 8h6M9 12h6" },
  { path: "/content", title: "Content", scopes: ["content:read"], icon: "M4 20l1-5L16 4l4 4L9 19zM13 7l4 4" },
  { path: "/workflows", title: "Workflows", scopes: ["workflows:read", "workflows:own"], icon: "M4 4h6v5H4zM14 15h6v5h-6zM10 6h4v11" },
  { path: "/executions", title: "Executions", scopes: ["executions:read", "executions:own"], icon: "M6 4l13 8-13 8z" },
  { path: "/tasks", title: "Tasks", scopes: ["tasks:read"], icon: "M4 6l2 2 3-4M4 14l2 2 3-4M12 7h8M12 15h8" },
  { path: "/events", title: "Events", scopes: ["audit:read"], icon: "M12 7v5l3 2M21 12a9 9 0 1 1-3-6.7M21 3v5h-5" },
  { path: "/system", title: "System", scopes: ["ops:read"], icon: "M4 5h16v6H4zM4 13h16v6H4zM8 8h.01M8 16h.01" },
  { path: "/settings", title: "Settings", scopes: ["users:read"], icon: "M4 7h9M17 7h3M13 4v6M4 17h3M11 17h9M7 14v6" },
];
