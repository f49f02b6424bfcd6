/** Follows a job until it has ended: by its events, and by asking now and then as well. */

import { events } from "./api.js";
import { sleep } from "./dom.js";

/** Milliseconds between two looks, where no event comes (some proxies keep them back). */
const LOOK_MS = 5000;
/** Milliseconds before a lost connection is tried again: at first, and at most. */
const AGAIN_MS = 500;
const PATIENCE_MS = 8000;

/**
 * Calls `changed` whenever something may have, and `connected(yes)` when the connection is lost or
 * back; returns what stops it.
 */
export function follow(name, { changed, connected }) {
  const over = new AbortController();
  let heard = Date.now();
  const timer = setInterval(() => {
    if (Date.now() - heard > LOOK_MS) changed();
  }, LOOK_MS);
  over.signal.addEventListener("abort", () => clearInterval(timer));
  listen(name, over, {
    connected,
    told: () => {
      heard = Date.now();
      changed();
    },
  });
  return () => over.abort();
}

async function listen(name, over, { told, connected }) {
  let last = "";
  let wait = AGAIN_MS;
  while (!over.signal.aborted) {
    let began = false;
    try {
      for await (const event of events(name, last, over.signal)) {
        connected(true);
        wait = AGAIN_MS;
        began = true;
        last = event.id || last;
        told();
      }
      connected(true);
      if (!began) return; // 204: it has ended, and this page knows
    } catch (error) {
      if (over.signal.aborted) return;
      if ([401, 403, 404].includes(error.status)) {
        told();
        return;
      }
      connected(false);
    }
    await Promise.race([sleep(wait * (0.75 + Math.random() / 2)), online(over.signal)]);
    wait = Math.min(wait * 2, PATIENCE_MS);
  }
}

/** Resolves when the browser says that it has a network again. */
function online(signal) {
  return new Promise((resolve) => {
    addEventListener("online", resolve, { once: true, signal });
  });
}
