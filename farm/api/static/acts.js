/** What can be done with a job, by its state: a row of buttons. */

import { job as address, post, request } from "./api.js";
import { confirmed, h } from "./dom.js";
import { t } from "./i18n.js";

const ENDED = ["completed", "failed", "cancelled", "expired"];

export const ended = (job) => ENDED.includes(job.state);

function possible(job) {
  if (!ended(job)) return [job.state === "paused" ? "resume" : "pause", "cancel"];
  const well = job.state === "completed" && !job.counts.failed;
  return well ? ["delete"] : ["retry", "delete"];
}

/** Returns the buttons; `told(act)` is called after one has done what it says, or with an error. */
export function acts(job, told) {
  const title = job.title || job.id;
  const button = (act) =>
    h(
      "button",
      {
        type: "button",
        class: act === "delete" ? "small danger" : "small",
        "data-key": `${act}-${job.id}`,
        "aria-label": t("act.on", { act: t(`act.${act}`), title }),
        click: () =>
          run(job, act, title).then(
            (done) => done && told(act),
            (error) => told(act, error),
          ),
      },
      t(`act.${act}`),
    );
  return h("div", { class: "acts" }, possible(job).map(button));
}

async function run(job, act, title) {
  if (act === "delete") {
    if (!(await confirmed(t("delete.title", { title }), t("delete.why"), t("act.delete"))))
      return false;
    await request(address(job.id), { method: "DELETE" });
    return true;
  }
  if (
    act === "cancel" &&
    !(await confirmed(t("cancel.title", { title }), t("cancel.why"), t("cancel.yes")))
  )
    return false;
  await post(`${address(job.id)}/${act}`);
  return true;
}

/** Shows a state in a word. */
export const badge = (job) =>
  h("span", { class: "badge", "data-state": job.state }, t(`state.${job.state}`));

/** Shows how far a job is. */
export const bar = (job) =>
  h("progress", { max: 1, value: job.progress, "aria-label": t("job.progress") });
