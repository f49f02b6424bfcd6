/** The page: which view is shown, in which language and colours. */

import { hasKey, newKey } from "./api.js";
import { $ } from "./dom.js";
import * as farm from "./farm.js";
import { load, t, toggle } from "./i18n.js";
import * as job from "./job.js";
import * as jobs from "./jobs.js";
import * as making from "./new.js";
import * as bar from "./player.js";
import * as reader from "./reader.js";
import * as voices from "./voices.js";

const THEMES = ["system", "light", "dark"];
const VIEWS = { new: making, jobs, job, farm };
let view = "new";

/** Shows what the address names: `#/`, `#/jobs`, `#/jobs/<id>`, `#/farm`. */
function route(event) {
  const [, first = "", id = ""] = location.hash.split("/");
  const wanted = first === "jobs" && id ? "job" : first in VIEWS ? first : "new";
  for (const each of [jobs, job, farm]) each.hide();
  view = wanted;
  for (const name of Object.keys(VIEWS)) $(`view-${name}`).hidden = name !== view;
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.dataset.view === view || (link.dataset.view === "jobs" && view === "job");
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  VIEWS[view].show?.(decodeURIComponent(id));
  title();
  if (event) {
    $("main").focus({ preventScroll: true });
    scrollTo(0, 0);
  }
}

function title() {
  document.title = `${t({ new: "nav.new", jobs: "nav.jobs", job: "nav.jobs", farm: "nav.farm" }[view])} · farm`;
}

function themed() {
  const theme = localStorage.getItem("farm.theme") ?? "system";
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  $("theme").textContent = t(`theme.${theme}`);
}

function nextTheme() {
  const theme = localStorage.getItem("farm.theme") ?? "system";
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  if (next === "system") localStorage.removeItem("farm.theme");
  else localStorage.setItem("farm.theme", next);
  themed();
}

/** Draws everything again, in another language. */
function drawn() {
  $("language").textContent = t("language.other");
  $("key-change").hidden = !hasKey();
  themed();
  title();
  voices.draw();
  making.draw();
  bar.draw();
  reader.draw();
  if (view !== "new") VIEWS[view].draw();
}

function opened() {
  $("key-change").hidden = !hasKey();
  farm.begin();
}

async function begin() {
  await load();
  for (const each of [making, jobs, job]) each.begin();
  bar.player.begin();
  $("language").addEventListener("click", async () => {
    await toggle();
    drawn();
  });
  $("theme").addEventListener("click", nextTheme);
  $("key-change").addEventListener("click", async () => {
    await newKey(false).catch(() => {});
  });
  $("skip").addEventListener("click", (event) => {
    event.preventDefault();
    $("main").focus();
  });
  document.addEventListener("key", () => {
    opened();
    voices.load().catch(() => {});
    route();
  });
  addEventListener("hashchange", route);
  route();
  drawn();
  voices.load().then(opened, (error) => {
    $("voices-note").textContent = error.message;
  });
}

begin();
