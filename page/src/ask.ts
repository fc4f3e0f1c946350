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

interface Running {
  key: string;
  stopping: AbortController;
  isWantedAgain: boolean;
  done: Promise<void>;
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
  const running = useRef<Running | null>(null);

  const ask = useCallback((): Promise<void> => {
    const before = running.current;
    if (before?.key === latest.current.key) {
      // an answer that is on its way is waited for, however often somebody wants a newer one
      before.isWantedAgain = true;
      return before.done;
    }
    before?.stopping.abort();
    const mine: Running = { key: latest.current.key, stopping: new AbortController(), isWantedAgain: false, done: Promise.resolve() };
    running.current = mine;
    mine.done = answer(mine);
    return mine.done;
  }, []);

  const answer = async (mine: Running): Promise<void> => {
    const { load: question, categories: about } = latest.current;
    const { signal } = mine.stopping;
    try {
      const data = await question({ position: placeOf(about), signal });
      if (!signal.aborted) setState({ what: mine.key, data, error: null, isLoading: false });
    } catch (failure) {
      if (signal.aborted) return;
      const error = failure as Error;
      setState((before) => ({ what: mine.key, data: before.what === mine.key ? before.data : null, error, isLoading: false }));
      if (error instanceof ApiError && error.status === 503) setTimeout(() => void (signal.aborted || ask()), AGAIN_MS);
    } finally {
      if (running.current === mine) {
        running.current = null;
        if (mine.isWantedAgain && !signal.aborted) void ask();
      }
    }
  };

  useEffect(() => {
    void ask();
  }, [key]);
  useEffect(() => () => running.current?.stopping.abort(), []);
  const soon = useRef(throttled(ask, PACE_MS));
  useChanges(categories, () => soon.current());

  const isOurs = state.what === key;
  return { data: isOurs ? state.data : null, error: isOurs ? state.error : null, isLoading: !isOurs || state.isLoading, reload: ask };
}
