/** The list of jobs. */

import { get } from "./api.js";
import { acts, badge, bar, ended } from "./acts.js";
import { $, h, refill } from "./dom.js";
import { clock, date, number, t } from "./i18n.js";

/** Milliseconds between two looks while something is under way. */
const LOOK_MS = 2500;
const PAGE = 30;

let jobs = null;
let more = null;
let count = PAGE;
let timer = 0;
let shown = false;
let problem = "";

/** Makes the filters work. */
export function begin() {
  for (const id of ["jobs-kind", "jobs-state"]) $(id).addEventListener("change", show);
  $("jobs-more").addEventListener("click", () => {
    count += PAGE;
    look();
  });
}

/** Shows the list, and keeps it up to date until it is hidden. */
export function show() {
  shown = true;
  jobs = null;
  count = PAGE;
  draw();
  return look();
}

export function hide() {
  shown = false;
  clearTimeout(timer);
}

async function look() {
  clearTimeout(timer);
  const query = new URLSearchParams();
  if ($("jobs-kind").value) query.set("kind", $("jobs-kind").value);
  if ($("jobs-state").value) query.set("state", $("jobs-state").value);
  try {
    [jobs, more] = await pages(query);
    problem = "";
  } catch (error) {
    problem = error.message;
  }
  if (!shown) return;
  draw();
  if (problem || jobs.some((job) => !ended(job))) timer = setTimeout(look, LOOK_MS);
}

async function pages(query) {
  const found = [];
  let cursor = "";
  do {
    query.set("limit", Math.min(200, count - found.length));
    if (cursor) query.set("cursor", cursor);
    const page = await get(`/v1/jobs?${query}`);
    found.push(...page.data);
    cursor = page.next_cursor;
  } while (cursor && found.length < count);
  return [found, cursor];
}

/** Draws the list. */
export function draw() {
  const states = [
    "queued",
    "planning",
    "running",
    "paused",
    "finalizing",
    "completed",
    "failed",
    "cancelled",
    "expired",
  ];
  const picked = $("jobs-state").value;
  refill(
    $("jobs-state"),
    h("option", { value: "" }, t("jobs.all")),
    states.map((state) =>
      h("option", { value: state, selected: state === picked }, t(`state.${state}`)),
    ),
  );
  $("jobs-note").textContent =
    problem || (jobs === null ? t("jobs.loading") : jobs.length ? "" : t("jobs.none"));
  refill($("jobs"), (jobs ?? []).map(row));
  $("jobs-more").hidden = !more;
}

function row(job) {
  const { segments, segments_total: total } = job.counts;
  const told = (_, error) => {
    problem = error ? error.message : "";
    if (error) draw();
    else look();
  };
  const facts = [
    date(job.created),
    total ? t("job.segments", { done: number(segments), total: number(total) }) : null,
    job.audio_s ? clock(job.audio_s) : null,
  ];
  return h(
    "li",
    { class: "card" },
    h(
      "div",
      { class: "between" },
      h(
        "a",
        {
          href: `#/jobs/${encodeURIComponent(job.id)}`,
          class: "strong",
          "data-key": `open-${job.id}`,
        },
        job.title || job.id,
      ),
      badge(job),
    ),
    ended(job) ? null : bar(job),
    job.error ? h("p", { class: "notice error" }, job.error) : null,
    h(
      "div",
      { class: "between" },
      h("p", { class: "faint" }, facts.filter(Boolean).join(" · ")),
      acts(job, told),
    ),
  );
}
