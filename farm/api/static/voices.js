/** Voices to choose from, each of which can be heard. */

import { get, post, request } from "./api.js";
import { $, h, refill } from "./dom.js";
import { languageName, t } from "./i18n.js";
import { sample } from "./samples.js";

/** From so many voices on there is something to filter them with. */
const MANY = 7;
const STORED = "farm.voice";

const heard = new Map();
let voices = [];
let chosen = "";
let sounding = "";
let note = "";
let changed = () => {};

export const voice = () => chosen;

/** Returns a voice's language; empty where it is not known. */
export const languageOf = (id) => voices.find((each) => each.id === id)?.language ?? "";

/** Shows the voices; calls `told` when another one is chosen. */
export async function begin(told) {
  changed = told;
  $("voice-language").addEventListener("change", draw);
  $("voice-search").addEventListener("input", draw);
  $("audio").addEventListener("play", stop);
}

/** Asks which voices there are; the one to begin with comes first. */
export async function load() {
  tellNote("loading");
  voices = (await get("/v1/audio/voices")).data;
  tellNote("");
  chosen = await usual();
  voices.sort((a, b) => (b.id === chosen) - (a.id === chosen));
  draw();
  changed();
}

/** Returns the voice chosen last, else the farm's own choice. */
async function usual() {
  const known = (id) => voices.some((each) => each.id === id);
  const last = localStorage.getItem(STORED);
  if (known(last)) return last;
  const looked = await post("/v1/jobs", { kind: "speech", text: "1", dry_run: true }).catch(
    () => null,
  );
  return known(looked?.voice) ? looked.voice : (voices[0]?.id ?? "");
}

/** Draws what fits the filters. */
export function draw() {
  const tags = [...new Set(voices.map((each) => each.language))];
  const named = tags.map((tag) => [languageName(tag), tag]).sort(([a], [b]) => a.localeCompare(b));
  $("voice-filters").hidden = voices.length < MANY;
  const picked = $("voice-language").value;
  refill(
    $("voice-language"),
    h("option", { value: "" }, t("voices.all")),
    named.map(([name, tag]) => h("option", { value: tag, selected: tag === picked }, name)),
  );
  const search = $("voice-search").value.toLowerCase();
  const fits = voices.filter(
    (each) => (!picked || each.language === picked) && each.id.toLowerCase().includes(search),
  );
  refill($("voices"), fits.map(row));
  if (voices.length && !fits.length) tellNote("none");
  else drawNote();
}

function row(each) {
  const choose = h("input", {
    type: "radio",
    name: "voice",
    value: each.id,
    checked: each.id === chosen,
    "data-key": `voice-${each.id}`,
    change: () => {
      chosen = each.id;
      localStorage.setItem(STORED, chosen);
      changed();
    },
  });
  const licence = each.licence || t("voices.unknown-licence");
  const on = sounding === each.id;
  const listen = h(
    "button",
    {
      type: "button",
      class: "small",
      "data-key": `listen-${each.id}`,
      click: () => (on ? stop() : hear(each)),
      "aria-label": on ? t("voices.stop") : t("voices.listen-to", { voice: each.name }),
    },
    h("span", { "aria-hidden": "true" }, on ? "■" : "▶\uFE0E"),
    on ? t("voices.stop") : t("voices.listen"),
  );
  return h(
    "div",
    { class: "voice" },
    h(
      "label",
      {},
      choose,
      h(
        "span",
        {},
        each.name,
        h("small", {}, `${languageName(each.language)} · ${each.engine}`),
        h("small", { class: "licence", title: licence }, licence),
      ),
    ),
    listen,
  );
}

const speaker = new Audio();
speaker.addEventListener("ended", () => stop());

/** Speaks a sentence with a voice, once; the second time it is there already. */
async function hear(each) {
  $("audio").pause();
  sounding = each.id;
  draw();
  try {
    if (!heard.has(each.id)) {
      tellNote("speaking", each.name);
      heard.set(each.id, await spoken(each));
    }
    tellNote("");
    if (sounding !== each.id) return;
    speaker.src = heard.get(each.id);
    await speaker.play();
  } catch (error) {
    stop();
    $("voices-note").textContent = error.message;
  }
}

async function spoken(each) {
  const json = {
    model: "farm",
    input: sample(each.language),
    voice: each.id,
    response_format: "mp3",
  };
  const response = await request("/v1/audio/speech", { method: "POST", json });
  return URL.createObjectURL(await response.blob());
}

function stop() {
  speaker.pause();
  if (!sounding) return;
  sounding = "";
  draw();
}

function tellNote(key, name = "") {
  note = key && { key, name };
  drawNote();
}

function drawNote() {
  $("voices-note").textContent = note ? t(`voices.${note.key}`, { voice: note.name }) : "";
}
