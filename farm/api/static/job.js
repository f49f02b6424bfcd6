/** One job: how far it is, its chapters, what it made, what could not be read. */

import { acts, badge, bar, ended } from "./acts.js";
import { get, job as address } from "./api.js";
import { chapters } from "./chapters.js";
import { $, announce, h, refill, tell } from "./dom.js";
import { downloads } from "./downloads.js";
import { edit } from "./edit.js";
import { number, span, t } from "./i18n.js";
import { follow } from "./live.js";
import { itemTitle, player } from "./player.js";
import * as reader from "./reader.js";

/** Milliseconds between two looks, however much happens. */
const REST_MS = 1000;
/** Items that are shown at first, and more each time. */
const PAGE = 100;

let name = "";
let view = null;
let stop = () => {};
let busy = false;
let again = false;
let announced = "";
let seeking = false;

/** Makes the text follow the player. */
export function begin() {
  reader.begin(
    (at) => change(player.item.index, player.sentences[at]),
    () => player.job?.id === name,
  );
  player.addEventListener("chapter", chapterChanged);
  addEventListener("offline", () => connected(false));
  addEventListener("online", look);
}

/** Shows a job, and follows it until it is hidden. */
export function show(id) {
  hide();
  name = id;
  view = { job: null, items: [], count: PAGE, more: false, files: [], failures: [], problem: "" };
  draw();
  reader.draw();
  return watch();
}

export function hide() {
  stop();
  name = "";
  tell($("offline"), "");
}

/** Follows the job's revision to its end. */
function watch() {
  stop();
  const stopFollowing = follow(name, { changed: look, connected });
  stop = stopFollowing;
  return look();
}

function connected(yes) {
  if (!name) return;
  const lost = !$("offline").hidden;
  if (yes && lost) {
    announce(t("job.back-again"));
    look();
  }
  tell($("offline"), yes ? "" : t("job.lost"));
}

/** Looks what has changed; never twice at once, and not without a rest. */
async function look() {
  if (!name) return;
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  again = false;
  const mine = view;
  try {
    await fetchAll(mine);
    mine.problem = "";
    connected(true);
  } catch (error) {
    if (error.status === 0) connected(false);
    else mine.problem = error.status === 404 ? t("job.gone") : error.message;
  }
  if (mine === view && name) {
    draw();
    tellProgress();
  }
  setTimeout(() => {
    busy = false;
    if (again || mine !== view) look();
  }, REST_MS);
}

async function fetchAll(mine) {
  const base = address(name);
  const job = await get(base);
  const items = [];
  let offset = 0;
  do {
    const page = await get(
      `${base}/items?offset=${offset}&limit=${Math.min(1000, mine.count - items.length)}`,
    );
    items.push(...page.data);
    offset = page.next_offset;
  } while (offset && items.length < mine.count);
  const failures =
    job.counts.failed || ended(job) ? (await get(`${base}/failures?limit=200`)).data : [];
  const files = ended(job) ? (await get(`${base}/outputs`)).data : [];
  Object.assign(mine, { job, items, more: Boolean(offset), failures, files });
}

function tellProgress() {
  if (!view.job) return;
  const percent = Math.floor(view.job.progress * 10) * 10;
  const text = t("job.announce", { state: t(`state.${view.job.state}`), percent });
  if (text !== announced) announce(text);
  announced = text;
}

/** Draws the job. */
export function draw() {
  const { job, problem } = view;
  refill($("job-chapters"), job && chapters(job, view.items, listen, view.more && showMore));
  const notice = problem && h("p", { class: "notice error", role: "alert" }, problem);
  if (!job)
    return refill(
      $("job"),
      h("h1", { id: "job-title" }, name),
      notice || h("p", { class: "faint" }, t("jobs.loading")),
    );
  return refill($("job"), head(job), notice, downloads(view.files, view.count), failures());
}

function head(job) {
  const { counts } = job;
  const told = (act, error) => {
    if (error) {
      view.problem = error.message;
      draw();
    } else if (act === "delete") location.hash = "#/jobs";
    else watch();
  };
  const facts = [
    job.eta_s ? t("job.eta", { time: span(job.eta_s) }) : null,
    job.audio_s ? t("job.audio", { time: span(job.audio_s) }) : null,
    counts.hits ? t("job.reused", { n: number(counts.hits) }) : null,
    t("job.voice", { voice: job.voice }),
    job.revision > 1 ? t("job.revision", { n: job.revision }) : null,
    counts.warned ? t("job.warned", { n: number(counts.warned) }) : null,
  ];
  const done = counts.segments_total
    ? t("job.segments", { done: number(counts.segments), total: number(counts.segments_total) })
    : "";
  return h(
    "section",
    { class: "card" },
    h("div", { class: "between" }, h("h1", { id: "job-title" }, job.title || job.id), badge(job)),
    bar(job),
    h(
      "div",
      { class: "between" },
      h(
        "p",
        {},
        h("strong", {}, `${Math.floor(job.progress * 100)} %`),
        " ",
        done,
        job.planned || !done ? "" : ` ${t("job.so-far")}`,
      ),
      acts(job, told),
    ),
    h("p", { class: "faint" }, facts.filter(Boolean).join(" · ")),
    job.error ? h("p", { class: "notice error" }, job.error) : null,
  );
}

function failures() {
  if (!view.failures.length) return null;
  const rows = view.failures.map((failure, n) =>
    h(
      "li",
      {},
      failure.text ? h("blockquote", {}, failure.text) : h("strong", {}, t("job.failure.whole")),
      h(
        "div",
        { class: "between" },
        h("span", { class: "faint" }, `${titleOf(failure.item)}: ${failure.error}`),
        failure.text && ended(view.job)
          ? h(
              "button",
              {
                type: "button",
                class: "small",
                "data-key": `mend-${n}`,
                click: () => mend(failure),
              },
              t("edit.open"),
            )
          : null,
      ),
    ),
  );
  return h(
    "section",
    { class: "card", "aria-labelledby": "failures-title" },
    h("h2", { id: "failures-title" }, t("job.failures")),
    h("p", { class: "faint" }, t("job.failures.why")),
    h("ul", { class: "failures" }, rows),
  );
}

function titleOf(index) {
  const item = view.items.find((each) => each.index === index);
  return item ? itemTitle(view.job, item) : t("job.chapter", { n: index + 1 });
}

/** Plays a chapter, its text in view. */
function listen(item) {
  seeking = true;
  player.open(view.job, item);
}

function showMore() {
  view.count += PAGE;
  look();
}

function chapterChanged() {
  if (!name) return;
  draw();
  if (!seeking || !player.sentences.length) return;
  seeking = false;
  $("reader").scrollIntoView();
}

/** Finds a sentence that could not be read, and asks for other words. */
async function mend({ item, text }) {
  try {
    const rows = (await get(`${address(name)}/items/${item}/segments`)).data;
    const sentence = rows.find((row) => row.text === text);
    if (sentence) await change(item, sentence);
  } catch (error) {
    view.problem = error.message;
    draw();
  }
}

async function change(item, sentence) {
  if (sentence) await edit(name, item, sentence, watch);
}
