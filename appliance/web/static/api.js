// Requests to Luna: JSON both ways, with the CSRF token of the session.

import { language, t } from "./texts.js";

const LIMIT_MS = 30000;
let csrf = "";
let loggedOut = () => {};

/** Something was refused; `message` is a sentence for the reader, `status` that of HTTP or 0. */
export class Refused extends Error {
  constructor(message, status, wait = 0) {
    super(message);
    this.status = status;
    this.wait = wait; // seconds after which it may be tried again
  }
}

/** Call `handler` when a request finds the session gone. */
export function onLoggedOut(handler) {
  loggedOut = handler;
}

/** Return who this browser is to Luna, and keep the token for what follows. */
export async function session() {
  const found = await request("GET", "session");
  csrf = found.csrf ?? "";
  return found;
}

async function request(method, path, body, headers) {
  const answer = await send(method, path, body, headers);
  if (!answer.ok) throw await refusal(answer, path);
  return json(answer);
}

async function send(method, path, body, headers = {}) {
  const options = { method, headers: { Accept: "application/json", "Accept-Language": language, ...headers }, signal: AbortSignal.timeout(LIMIT_MS) };
  if (method !== "GET") options.headers["X-CSRF-Token"] = csrf;
  if (body instanceof Blob) options.body = body;
  else if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  try {
    return await fetch(`/api/v1/${path}`, options);
  } catch {
    throw new Refused(t("page.no_answer_from_luna"), 0);
  }
}

async function json(answer) {
  if (!answer.headers.get("Content-Type")?.startsWith("application/json")) return null;
  return answer.json().catch(() => null);
}

async function refusal(answer, path) {
  const found = await json(answer);
  if (answer.status === 401 && !["session", "login", "pair"].includes(path)) loggedOut();
  return new Refused(found?.error?.message ?? t("page.refused", { status: answer.status }), answer.status,
    Number(answer.headers.get("Retry-After") ?? 0));
}

export const get = (path) => request("GET", path);
export const post = (path, body) => request("POST", path, body);
export const put = (path, body) => request("PUT", path, body);
export const patch = (path, body) => request("PATCH", path, body);
export const remove = (path) => request("DELETE", path);

/** Send a file as it is. */
export const upload = (path, file, headers = {}) =>
  request("POST", path, file, { "Content-Type": file.type || "application/octet-stream", ...headers });

/** Ask a question; resolves when the turn has begun. The answer comes by the event stream. */
export async function ask(question) {
  const answer = await send("POST", "ask", { ...question, stream: true });
  if (!answer.ok) throw await refusal(answer, "ask");
  await answer.body?.cancel();
}
