/** What an operator looks at: health, queues, workers. */

import { Failure, get } from "./api.js";
import { $, h, prose, refill } from "./dom.js";
import { number, span, t } from "./i18n.js";

const LOOK_MS = 3000;

let timer = 0;
let shown = false;
let found = null;

/** Shows the way to this page to those who may see it. */
export async function begin() {
  try {
    $("nav-farm").hidden = !(await get("/operator")).operator;
  } catch {
    $("nav-farm").hidden = true;
  }
}

/** Shows the farm, and keeps it up to date until it is hidden. */
export function show() {
  shown = true;
  draw();
  return look();
}

export function hide() {
  shown = false;
  clearTimeout(timer);
}

async function look() {
  clearTimeout(timer);
  const ask = (path) => get(path).catch((error) => error);
  const [health, queues, workers, operator] = await Promise.all([
    ready(),
    ask("/v1/queues"),
    ask("/v1/workers"),
    ask("/operator"),
  ]);
  found = { health, queues, workers, operator };
  if (!shown) return;
  draw();
  timer = setTimeout(look, LOOK_MS);
}

/** `/readyz` answers 503 with the reasons. */
async function ready() {
  try {
    return await (await fetch("/readyz", { cache: "no-store" })).json();
  } catch {
    return new Failure(0, "");
  }
}

/** Draws the farm. */
export function draw() {
  if (!found) return refill($("farm"), h("p", { class: "faint" }, t("jobs.loading")));
  const { health, queues, workers, operator } = found;
  return refill(
    $("farm"),
    part("farm.health", health, healthList),
    part("farm.queues", queues, queueTable),
    part("farm.workers", workers, workerTable),
    h(
      "p",
      {},
      flower(operator),
      " · ",
      h("a", { href: "/docs", "data-key": "docs" }, t("farm.docs")),
    ),
  );
}

function part(title, answer, shape) {
  const refused = answer instanceof Error;
  const text = [403, 404].includes(answer.status) ? t("farm.unavailable") : answer.message;
  return h(
    "section",
    { class: "card" },
    h("h2", {}, t(title)),
    refused ? h("p", { class: "faint" }, text) : shape(answer),
  );
}

function flower(operator) {
  if (!operator.flower) return h("span", { class: "faint" }, prose(t("farm.no-flower")));
  return h(
    "a",
    { href: operator.flower, target: "_blank", rel: "noopener noreferrer", "data-key": "flower" },
    t("farm.flower"),
  );
}

function healthList({ components }) {
  const rows = Object.entries(components).map(([name, { ready: well, reason }]) =>
    h(
      "li",
      {},
      h("span", {}, h("code", {}, name), " ", h("span", { class: "faint" }, prose(reason))),
      h(
        "span",
        { class: "badge", "data-ready": String(well) },
        t(well ? "farm.ready" : "farm.not-ready"),
      ),
    ),
  );
  return h("ul", { class: "list" }, rows);
}

/** A table whose columns `keys` name; of figures all but the first stand right. */
function table(keys, rows, figures) {
  const cells = (kind, texts) =>
    h(
      "tr",
      {},
      texts.map((text, n) => h(kind, { class: figures && n ? "number" : null }, text)),
    );
  const written = rows.map((row) =>
    row.map((cell) => (typeof cell === "number" ? number(cell) : (cell ?? "–"))),
  );
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": t(keys[0]), "data-key": keys[0] },
    h(
      "table",
      {},
      h(
        "thead",
        {},
        cells(
          "th",
          keys.map((key) => t(key)),
        ),
      ),
      h(
        "tbody",
        {},
        written.map((row) => cells("td", row)),
      ),
    ),
  );
}

function queueTable({ data }) {
  if (!data.length) return h("p", { class: "faint" }, t("farm.no-queues"));
  const keys = [
    "farm.lane",
    "farm.slots",
    "farm.waiting",
    "farm.under-way",
    "farm.todo",
    "farm.backlog",
  ];
  const rows = data.map((lane) => [
    lane.lane,
    lane.slots,
    lane.waiting,
    lane.under_way,
    lane.todo,
    lane.backlog_s === null ? null : span(lane.backlog_s),
  ]);
  return table(keys, rows, true);
}

function workerTable({ data }) {
  if (!data.length) return h("p", { class: "faint" }, prose(t("farm.no-workers")));
  const keys = ["farm.worker", "farm.device", "farm.voices", "farm.doing"];
  const rows = data.flatMap((worker) =>
    worker.children.map((child) => [
      `${worker.name} · ${child.slot}`,
      child.device,
      child.voices.join(", ") || null,
      child.doing
        ? `${child.doing.job}: ${child.doing.what} (${t("farm.since", { time: span(Date.now() / 1000 - child.doing.since) })})`
        : t("farm.idle"),
    ]),
  );
  return table(keys, rows, false);
}
