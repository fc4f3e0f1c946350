// A room on which files may be dropped: they are taken along to the room of imports.

import { useEffect } from "preact/hooks";
import { useLocation } from "preact-iso";

import { dropped, type Kind } from "../imports";

export function Droppable({ kind }: { kind: Kind }) {
  const { route } = useLocation();
  useEffect(() => {
    const over = (event: DragEvent): void => {
      if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
    };
    const drop = (event: DragEvent): void => {
      const files = [...(event.dataTransfer?.files ?? [])];
      if (!files.length) return;
      event.preventDefault();
      dropped.value = files;
      route(`/import?kind=${kind}`);
    };
    addEventListener("dragover", over);
    addEventListener("drop", drop);
    return () => {
      removeEventListener("dragover", over);
      removeEventListener("drop", drop);
    };
  }, [kind]);
  return (
    <a class="button quiet" href={`/import?kind=${kind}`}>
      Import
    </a>
  );
}
