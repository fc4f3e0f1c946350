// Questions to the API. The key lives in this tab's session storage and goes into a header, never into an address.

const STORED = "factline.key";

export class ApiError extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

// Says "this key is not good": whoever listens shows the form.
export const signedOut = new EventTarget();

export const storedKey = () => sessionStorage.getItem(STORED);
export const storeKey = (key) => sessionStorage.setItem(STORED, key);
export const forgetKey = () => sessionStorage.removeItem(STORED);

export async function request(path, { parameters = {}, headers = {}, signal } = {}) {
  const url = new URL(path, location.origin);
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
  }
  let response;
  try {
    response = await fetch(url, { headers: { ...headers, "X-API-Key": storedKey() ?? "" }, signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "the server does not answer");
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  const failure = new ApiError(response.status, problem.detail ?? `the server answered ${response.status}`);
  if (response.status === 401) signedOut.dispatchEvent(new CustomEvent("refused", { detail: failure.message }));
  throw failure;
}

export const get = async (path, options) => (await request(path, options)).json();

export const deviceOf = (stream) => stream.slice(stream.indexOf("-") + 1);
