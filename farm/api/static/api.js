/** Talks to the API: with a key in a header, never in an address, and with one way to fail. */

import { $, ask } from "./dom.js";
import { t } from "./i18n.js";

const STORED = "farm.key";
const KNOWN = [401, 403, 404, 409, 413, 429, 503];

let key = sessionStorage.getItem(STORED) ?? localStorage.getItem(STORED) ?? "";
let asking = null;

/** Something that the API refused, or that did not reach it (status 0). */
export class Failure extends Error {
  constructor(status, detail) {
    const known = status === 0 ? "offline" : KNOWN.includes(status) ? status : "other";
    super([t(`error.${known}`), detail].filter(Boolean).join(" "));
    this.status = status;
  }
}

export const hasKey = () => key !== "";

/** Sends a request; asks for a key where one is needed, and tries again. */
export async function request(path, { method = "GET", json, body, headers = {}, signal } = {}) {
  for (;;) {
    const sent = key;
    const response = await reach(path, {
      method,
      body: json === undefined ? body : JSON.stringify(json),
      headers: {
        ...headers,
        ...(json === undefined ? {} : { "Content-Type": "application/json" }),
        ...(sent ? { Authorization: `Bearer ${sent}` } : {}),
      },
      signal,
      cache: "no-store",
      credentials: "omit",
    });
    if (response.ok) return response;
    if (response.status !== 401) throw await failure(response);
    if (sent === key) await newKey(sent !== "");
  }
}

async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure(0, "");
  }
}

async function failure(response) {
  const said = await response.json().catch(() => ({}));
  return new Failure(response.status, said.detail ?? said.error?.message ?? "");
}

export const get = async (path, options) => (await request(path, options)).json();

export async function post(path, json, options) {
  const response = await request(path, { method: "POST", json, ...options });
  return response.status === 204 ? null : response.json();
}

export const job = (name) => `/v1/jobs/${encodeURIComponent(name)}`;

/** Asks for a key, once for all who wait for it. */
export function newKey(wrong) {
  asking ??= askForKey(wrong).finally(() => {
    asking = null;
  });
  return asking;
}

async function askForKey(wrong) {
  const text = $("key-text");
  $("key-wrong").hidden = !wrong;
  text.value = "";
  const given = await ask($("key"), () => text.value.trim() || null);
  text.value = "";
  if (!given) throw new Failure(401, "");
  key = given;
  sessionStorage.setItem(STORED, key);
  if ($("key-remember").checked) localStorage.setItem(STORED, key);
  else localStorage.removeItem(STORED);
  document.dispatchEvent(new CustomEvent("key"));
}

/** Yields a job's events: `{ id, type, data }`; ends when the server ends the stream. */
export async function* events(name, last, signal) {
  const headers = { Accept: "text/event-stream", ...(last ? { "Last-Event-ID": last } : {}) };
  const response = await request(`${job(name)}/events`, { headers, signal });
  if (response.status === 204) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const event = parsed(block);
        if (event.type) yield event;
      }
    }
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure(0, "");
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parsed(block) {
  const fields = { data: "" };
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1).trimStart();
  }
  return {
    id: fields.id ?? "",
    type: fields.event ?? "",
    data: fields.data ? JSON.parse(fields.data) : null,
  };
}
