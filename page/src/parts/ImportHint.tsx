import { may } from "../session";

/** What to do where there are no invoices. */
export const ImportHint = () => (
  <p class="notice">
    No invoices yet. {may("finance:write") && "Drop a CSV file here to bring in your own: it is checked first."}
  </p>
);
