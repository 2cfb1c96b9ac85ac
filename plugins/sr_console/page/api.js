/** Calls to the REST API as the person whose cookie the browser sends. */

const API = new URL("api/v1/", document.baseURI);

/** An answer that is an error: `message` is its sentence, `hint` what to do, `code` its name. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || "The server does not answer.");
    this.status = status;
    this.code = body.code || "";
    this.hint = body.hint || "";
    this.fields = body.errors || [];
  }

  /** Whether the server has no such route, or what is behind it does not run. */
  get isMissing() {
    return this.status === 503 || (this.status === 404 && this.code === "NOT_FOUND");
  }
}

export function address(path) {
  return new URL(path, API).href;
}

/** The answer of a call, not read yet. Throws a Problem for every error. Who is not logged in goes to Airflow's login. */
export async function ask(method, path, { body, headers = {} } = {}) {
  const isBytes = body instanceof Blob;
  const sent = { method, headers: { ...headers }, credentials: "same-origin" };
  if (body !== undefined) {
    sent.body = isBytes ? body : JSON.stringify(body);
    if (!isBytes) sent.headers["Content-Type"] = "application/json";
  }
  let answer;
  try {
    answer = await fetch(address(path), sent);
  } catch {
    throw new Problem(0, { detail: "The server cannot be reached.", hint: "Is the connection up? Try again in a moment." });
  }
  if (answer.status === 401) {
    signIn();
    return new Promise(() => {});
  }
  if (!answer.ok) throw new Problem(answer.status, await answer.json().catch(() => ({})));
  return answer;
}

export async function get(path) {
  return (await ask("GET", path)).json();
}

let description;

/** The API's own description of itself, asked for once. */
export function described() {
  description ??= get("openapi.json");
  return description;
}

/** Whether this server has a route that ends so. */
export async function offers(end) {
  const { paths } = await described();
  return Object.keys(paths).some((path) => path.endsWith(end));
}

export async function post(path, body) {
  return (await ask("POST", path, { body })).json();
}

const RETURN = "enhance-return";

/** To Airflow's login, and back to where we are. */
function signIn() {
  sessionStorage.setItem(RETURN, location.hash);
  const login = new URL("../auth/login", document.baseURI);
  login.searchParams.set("next", location.pathname);
  location.replace(login);
}

/** Where somebody was before the login, once. */
export function returned() {
  const hash = sessionStorage.getItem(RETURN);
  sessionStorage.removeItem(RETURN);
  return hash;
}

export function jobPath(id, rest = "") {
  return `jobs/${encodeURIComponent(id)}${rest}`;
}

/** Whether the page stands in a frame of Airflow, which opens no other windows. */
export const isFramed = window.top !== window;
