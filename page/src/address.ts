// Every view, filter and open panel is in the address, so it can be pasted into a ticket, and Back goes to the one before.

import { useLocation } from "preact-iso";

export interface Address {
  query: Record<string, string>;
  /** Changes some of the query; null and "" take a name away. */
  set(change: Record<string, string | null>, options?: { replace?: boolean }): void;
}

export function withQuery(path: string, query: Record<string, string | null>): string {
  const said = new URLSearchParams(Object.entries(query).filter((pair): pair is [string, string] => Boolean(pair[1])));
  return said.size ? `${path}?${said}` : path;
}

export function useAddress(): Address {
  const { path, query, route } = useLocation();
  return {
    query,
    set: (change, { replace = false } = {}) => route(withQuery(path, { ...query, ...change }), replace),
  };
}
