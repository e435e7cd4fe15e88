// Calls of the HTTP API, with the session's token where somebody is signed in.

let account = null;

export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || String(status));
    this.status = status;
    this.problem = problem;
  }
}

// Who is signed in; null on a site that is open to this machine.
export async function signIn() {
  const response = await fetch("/account", { headers: { Accept: "application/json" } });
  account = response.ok ? await response.json() : null;
  return account;
}

export function may(scope) {
  return account === null || account.scopes.includes(scope) || account.scopes.includes("admin");
}

export async function call(method, path, body, type = "application/json") {
  const headers = { Accept: "application/json" };
  if (account !== null && method !== "GET") headers["X-CSRF-Token"] = account.csrf_token;
  if (body !== undefined) headers["Content-Type"] = type;
  let response;
  try {
    response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new ApiError(0, { detail: "The server does not answer." });
  }
  const text = await response.text();
  let answer = {};
  try {
    answer = text ? JSON.parse(text) : {};
  } catch {
    answer = { detail: text.slice(0, 300) };
  }
  if (response.status === 401 && account !== null) location.assign("/account/sign-in?next=/console");
  if (!response.ok) throw new ApiError(response.status, answer);
  return answer;
}

export const get = (path) => call("GET", path);
export const id = encodeURIComponent;
