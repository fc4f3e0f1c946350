// What is said in a conversation while it is said: the words of an answer before it is whole, and who types.

import { useEffect, useState } from "preact/hooks";

import { client } from "./api";
import { Live, type Said } from "./live";
import { recorded } from "./news";
import { me } from "./session";

const TYPES = ["task.streamed", "conversation.typing", "conversation.message.added", "conversation.answered", "conversation.answer.failed"];
const TYPES_FOR_MS = 4000;
const TELL_EVERY_MS = 3000;
const LOST = "\0";

interface Words {
  of: string;
  characters: readonly string[];
}

const NONE: Words = { of: "", characters: [] };

export interface Talk {
  /** The answer as far as it came; "…" stands for what was not heard. */
  words: string;
  /** Who is about to say something, "" where nobody is. */
  typist: string;
}

/** Listens to a conversation while somebody looks at it. */
export function useTalk(id: string, mayListen: boolean): Talk {
  const [words, setWords] = useState<Words>(NONE);
  const [typist, setTypist] = useState("");
  useEffect(() => {
    setWords(NONE);
    setTypist("");
    if (!mayListen) return;
    let waiting: ReturnType<typeof setTimeout> | undefined;
    const onSaid = (said: Said): void => {
      if (said.type === "task.streamed") return setWords((before) => heard(before, said));
      const by = String((said.data?.["by"] as { id?: string } | undefined)?.id ?? "");
      if (said.type !== "conversation.typing" || by === me.value?.actor?.id) return;
      setTypist(by);
      clearTimeout(waiting);
      waiting = setTimeout(() => setTypist(""), TYPES_FOR_MS);
    };
    const live = new Live(
      {
        onSaid,
        onEvents: (events) => {
          // the words of the answer before belong to nobody any more
          if (events.some(({ type }) => type === "conversation.message.added")) setWords(NONE);
          setTypist("");
          recorded("conversation", events.at(-1)?.position ?? null);
        },
      },
      { stream: `conversation-${id}`, types: TYPES.join(",") },
    );
    const look = (): void => {
      if (document.hidden) return live.stop();
      live.start();
      // what was said meanwhile
      recorded("conversation", null);
    };
    look();
    document.addEventListener("visibilitychange", look);
    return () => {
      document.removeEventListener("visibilitychange", look);
      clearTimeout(waiting);
      live.stop();
    };
  }, [id, mayListen]);
  const text = Array.from(words.characters, (one) => one ?? LOST).join("");
  return { words: text.replace(/\0+/g, "…"), typist };
}

/** Puts a part where it belongs; another task, or another attempt of it, begins anew. */
function heard(before: Words, { stream, data }: Said): Words {
  const { text, at } = (data["output"] ?? {}) as { text?: unknown; at?: unknown };
  if (typeof text !== "string" || typeof at !== "number") return before;
  const of = `${stream} ${data["attempt"]}`;
  const characters = of === before.of ? [...before.characters] : [];
  // places count characters, not the halves of some that a string here is made of
  for (const [number, one] of [...text].entries()) characters[at + number] = one;
  return { of, characters };
}

/** Gives what to call at each key: others are told now and then that somebody types. */
export function typing(id: string): () => void {
  let toldAt = 0;
  return () => {
    if (Date.now() - toldAt < TELL_EVERY_MS) return;
    toldAt = Date.now();
    // nobody needs to know where it fails
    client.POST("/v1/conversations/{id}/typing", { params: { path: { id } } }).catch(() => null);
  };
}
