// An answer that a component shows, asked again when something changes.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";

import { ApiError, type Asked } from "./api";
import { placeOf, useChanges } from "./news";
import { throttled } from "./throttled";

const AGAIN_MS = 2000;
const PACE_MS = 1000;

export interface Answer<T> {
  data: T | null;
  /** Why the newest question failed; what was known before stays. */
  error: ApiError | Error | null;
  isLoading: boolean;
  reload(): void;
}

/**
 * Asks when `what` changes, and again when something of the categories is recorded. An answer that comes after a newer
 * question is not shown.
 */
export function useAnswer<T>(load: (asked: Asked) => Promise<T>, what: readonly unknown[], categories: readonly string[] = []): Answer<T> {
  const [state, setState] = useState<{ what: string; data: T | null; error: Error | null; isLoading: boolean }>({
    what: "",
    data: null,
    error: null,
    isLoading: true,
  });
  const key = JSON.stringify(what);
  const latest = useRef({ load, categories, key });
  latest.current = { load, categories, key };
  const asking = useRef<AbortController | null>(null);

  const ask = useCallback(async () => {
    const { load: question, key: asked } = latest.current;
    asking.current?.abort();
    const mine = new AbortController();
    asking.current = mine;
    const isNewest = (): boolean => asking.current === mine && !mine.signal.aborted;
    try {
      const data = await question({ position: placeOf(latest.current.categories), signal: mine.signal });
      if (isNewest()) setState({ what: asked, data, error: null, isLoading: false });
    } catch (error) {
      if (!isNewest()) return;
      setState((before) => ({ what: asked, data: before.what === asked ? before.data : null, error: error as Error, isLoading: false }));
      if (error instanceof ApiError && error.status === 503) setTimeout(() => isNewest() && void ask(), AGAIN_MS);
    }
  }, []);

  useEffect(() => {
    void ask();
  }, [key]);
  useEffect(() => () => asking.current?.abort(), []);
  const soon = useRef(throttled(ask, PACE_MS));
  useChanges(categories, () => soon.current());

  const isOurs = state.what === key;
  return { data: isOurs ? state.data : null, error: isOurs ? state.error : null, isLoading: !isOurs || state.isLoading, reload: ask };
}
