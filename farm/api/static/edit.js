/** A word that is mended: the sentence is spoken again, and heard. */

import { ended } from "./acts.js";
import { get, job as address, post } from "./api.js";
import { $, announce, ask, tell } from "./dom.js";
import { t } from "./i18n.js";
import { player } from "./player.js";

/** Asks for a sentence's new words, and has it spoken so; `told` is called once that has begun. */
export async function edit(name, item, sentence, told) {
  const job = await get(address(name));
  if (!ended(job)) return announceLater();
  $("edit-text").value = sentence.written ?? sentence.text;
  tell($("edit-error"), "");
  const before = $("edit-text").value;
  const done = await ask($("edit"), async ({ submitter }) => {
    const again = submitter === $("edit-retake");
    const text = $("edit-text").value.trim();
    if (!again && (!text || text === before))
      return void tell($("edit-error"), t("edit.unchanged"));
    try {
      if (again) await post(`${address(name)}/items/${item}/segments/${sentence.start}/retake`);
      else await post(`${address(name)}/edits`, { edits: [{ item, start: sentence.start, text }] });
      return true;
    } catch (error) {
      return void tell($("edit-error"), error.message);
    }
  });
  if (!done) return undefined;
  announce(t("player.again"));
  told();
  return player.again(name, item, sentence.start);
}

function announceLater() {
  announce(t("edit.later"));
  $("player-note").textContent = t("edit.later");
}
