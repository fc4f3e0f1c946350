import { me } from "../session";

/** What to do where there are no invoices. */
export const ImportHint = () => (
  <p class="notice">
    No invoices yet. Bring in your own: <code>{`factline import invoices FILE --tenant ${me.value?.tenant_id}`}</code>
  </p>
);
