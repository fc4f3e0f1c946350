// The rooms of the rail, in its order. `scope` is what one must be able to read to be shown the way.

export interface Room {
  path: string;
  title: string;
  scope: string | null;
  /** A path of an SVG of 24 by 24. */
  icon: string;
}

export const ROOMS: readonly Room[] = [
  { path: "/", title: "Overview", scope: null, icon: "M4 4h7v9H4zM13 4h7v5h-7zM13 11h7v9h-7zM4 15h7v5H4z" },
  { path: "/devices", title: "Devices", scope: "devices:read", icon: "M3 5h18v11H3zM8 20h8M12 16v4" },
  { path: "/alerts", title: "Alerts", scope: "alerts:read", icon: "M6 16V11a6 6 0 0 1 12 0v5l2 2H4zM10 20h4" },
  { path: "/logs", title: "Logs", scope: "logs:read", icon: "M4 6h16M4 10h10M4 14h16M4 18h7" },
  { path: "/invoices", title: "Invoices", scope: "invoices:read", icon: "M6 3h12v18l-3-2-3 2-3-2-3 2zM9 8h6M9 12h6" },
  { path: "/events", title: "Events", scope: "audit:read", icon: "M12 7v5l3 2M21 12a9 9 0 1 1-3-6.7M21 3v5h-5" },
  { path: "/system", title: "System", scope: "ops:read", icon: "M4 5h16v6H4zM4 13h16v6H4zM8 8h.01M8 16h.01" },
];
