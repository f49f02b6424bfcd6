/** A new job: what is to be read, by whom, what it takes, and its start. */

import { post, request } from "./api.js";
import { $, h, refill, tell } from "./dom.js";
import { clock, number, span, t } from "./i18n.js";
import * as voices from "./voices.js";

/** Milliseconds without a change after which it is looked through. */
const SETTLED_MS = 400;

let file = null;
let timer = 0;
let looking = null;
let estimate = null;
let failed = "";

/** Makes the form work. */
export function begin() {
  $("file").addEventListener("change", () => choose($("file").files[0] ?? null));
  $("text").addEventListener("input", () => {
    if ($("text").value.trim()) choose(null);
    look();
  });
  for (const id of ["speed", "as-m4b", "as-readalong", "as-mp3", "front-matter"])
    $(id).addEventListener("change", look);
  $("new").addEventListener("submit", start);
  acceptDrops($("drop"));
  voices.begin(look);
}

function acceptDrops(zone) {
  const mark = (on) => (event) => {
    event.preventDefault();
    zone.classList.toggle("over", on);
  };
  zone.addEventListener("dragover", mark(true));
  zone.addEventListener("dragleave", mark(false));
  zone.addEventListener("drop", (event) => {
    mark(false)(event);
    if (event.dataTransfer.files.length) choose(event.dataTransfer.files[0]);
  });
  // A file that misses the zone must not take the place of the page.
  for (const name of ["dragover", "drop"])
    addEventListener(name, (event) => event.preventDefault());
}

function choose(given) {
  file = given;
  if (file) $("text").value = "";
  else $("file").value = "";
  $("file-name").textContent = file ? file.name : t("new.drop");
  look();
}

const text = () => $("text").value.trim();
const isBatch = () => Boolean(file?.name.toLowerCase().endsWith(".jsonl"));

/** Returns the job as the API takes it, without its input. */
function wanted() {
  const chosen = ["m4b", "readalong", "mp3"].filter(
    (each) => $(`as-${each}`).checked && (each === "mp3" || !isBatch()),
  );
  return {
    kind: isBatch() ? "batch" : "book",
    voice: voices.voice(),
    title: $("title").value.trim(),
    speed: Number($("speed").value),
    priority: $("priority").value,
    front_matter: $("front-matter").checked,
    output: {
      format: chosen[0] ?? "mp3",
      also: chosen.slice(1),
      subtitles: $("as-subtitles").checked ? ["srt", "vtt"] : [],
    },
  };
}

/** Sends the job: as a file, or with the text in it. */
async function send(job, id, signal) {
  if (file) {
    const body = new FormData();
    body.append("job", JSON.stringify(job));
    if (id) body.append("id", id);
    body.append("file", file);
    const response = await request("/v1/jobs/upload", { method: "POST", body, signal });
    return response.json();
  }
  const json = { ...job, text: text() };
  if (!id) return post("/v1/jobs", json, { signal });
  const response = await request(`/v1/jobs/${id}`, { method: "PUT", json, signal });
  return response.json();
}

/** Looks through the book again, when nothing has changed for a moment. */
function look() {
  clearTimeout(timer);
  looking?.abort();
  tell($("new-error"), "");
  estimate = null;
  failed = "";
  looking = (file || text()) && voices.voice() ? new AbortController() : null;
  draw();
  if (looking) timer = setTimeout(lookNow, SETTLED_MS, looking);
}

async function lookNow(mine) {
  try {
    estimate = await send({ ...wanted(), dry_run: true }, "", mine.signal);
  } catch (error) {
    if (error.name === "AbortError") return;
    failed = error.message;
  }
  if (mine !== looking) return;
  looking = null;
  draw();
}

/** Draws what the job would be. */
export function draw() {
  $("file-name").textContent = file ? file.name : t("new.drop");
  if (failed) return refill($("estimate-body"), h("p", { class: "notice error" }, failed));
  if (!estimate) {
    const say = looking ? "estimate.looking" : "estimate.empty";
    return refill(
      $("estimate-body"),
      h("p", { class: "faint" }, t(say)),
      looking && h("progress", { "aria-label": t(say) }),
    );
  }
  return refill($("estimate-body"), heading(), figures(), warnings(), chapters());
}

function heading() {
  if (!estimate.title && !estimate.author) return null;
  const by =
    estimate.author &&
    h("span", { class: "faint" }, " ", t("estimate.by", { author: estimate.author }));
  return h("p", {}, h("strong", {}, estimate.title || t("estimate.untitled")), by || "");
}

function figures() {
  const items = estimate.kind === "batch" ? "estimate.lines" : "estimate.chapters";
  const rows = [
    [items, number(estimate.items)],
    ["estimate.characters", number(estimate.characters)],
    ["estimate.audio", span(estimate.audio_s)],
    ["estimate.wait", span(estimate.wait_s)],
    ["estimate.compute", span(estimate.compute_s)],
  ];
  return h(
    "dl",
    { class: "figures" },
    rows.map(([key, value]) => h("div", {}, h("dt", {}, t(key)), h("dd", {}, value))),
  );
}

function warnings() {
  if (!estimate.warnings.length) return null;
  const rows = estimate.warnings.map((warning) => h("li", {}, warning));
  return h(
    "div",
    { class: "notice warning" },
    h("h3", {}, t("estimate.warnings")),
    h("ul", {}, rows),
  );
}

function chapters() {
  const { chapters: found, items, audio_s: whole, characters } = estimate;
  const some = { n: number(found.length), total: number(items) };
  const summary = found.length < items ? t("estimate.first", some) : t("estimate.all");
  const rows = found.map((chapter) =>
    h(
      "li",
      {},
      h("span", {}, chapter.title || chapter.id),
      h("span", {}, clock(characters ? (chapter.characters / characters) * whole : 0)),
    ),
  );
  return h(
    "details",
    { "data-key": "chapters" },
    h("summary", { "data-key": "chapters-summary" }, summary),
    h("ol", { class: "list" }, rows),
  );
}

/** Returns an id that tells a person what it is, and is used once: sent twice, it is one job. */
function newId(title) {
  const plain = title
    .normalize("NFKD")
    .replace(/[^A-Za-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 48);
  const random = crypto
    .getRandomValues(new Uint32Array(2))
    .reduce((all, part) => all + part.toString(36), "");
  return `${plain.toLowerCase() || "book"}-${random.slice(0, 8)}`;
}

async function start(event) {
  event.preventDefault();
  const lacks = !file && !text() ? "new.nothing" : voices.voice() ? "" : "new.no-voice";
  if (lacks) return tell($("new-error"), t(lacks));
  tell($("new-error"), "");
  $("start").disabled = true;
  $("start").textContent = t("new.starting");
  try {
    const job = wanted();
    job.title ||=
      estimate?.title || (file ? file.name.replace(/\.[^.]+$/, "") : t("new.text-title"));
    const made = await send(job, newId(job.title));
    $("new").reset();
    choose(null);
    voices.draw();
    location.hash = `#/jobs/${encodeURIComponent(made.id)}`;
  } catch (error) {
    tell($("new-error"), error.message);
  } finally {
    $("start").disabled = false;
    $("start").textContent = t("new.start");
  }
  return undefined;
}
