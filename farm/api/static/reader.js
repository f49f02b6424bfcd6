/** The text of the chapter that plays: what is spoken is marked, and a click seeks. */

import { $, h, refill } from "./dom.js";
import { t } from "./i18n.js";
import { player } from "./player.js";
import { languageOf } from "./voices.js";

/** Milliseconds of a pause that ends a paragraph. */
const PARAGRAPH_MS = 600;

let spans = [];
let chosen = 0;
let now = -1;
let change = () => {};
let visible = () => false;

/** Follows the player; `edit(index)` is called to change a sentence, `here()` tells whether to show. */
export function begin(edit, here) {
  [change, visible] = [edit, here];
  player.addEventListener("chapter", draw);
  player.addEventListener("spoken", marked);
  player.addEventListener("place", follow);
  $("reader-edit").addEventListener("click", () => change(chosen));
  $("sentences").addEventListener("click", (event) => {
    const at = spans.indexOf(event.target.closest(".sentence"));
    if (at < 0 || !getSelection().isCollapsed) return;
    choose(at, false);
    player.play(at);
  });
  $("sentences").addEventListener("keydown", pressed);
}

function pressed(event) {
  const steps = {
    ArrowDown: chosen + 1,
    ArrowRight: chosen + 1,
    ArrowUp: chosen - 1,
    ArrowLeft: chosen - 1,
    Home: 0,
    End: spans.length - 1,
  };
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key in steps) choose(Math.min(Math.max(steps[event.key], 0), spans.length - 1), true);
  else if (event.key === "Enter" || event.key === " ") player.play(chosen);
  else if (event.key === "e" || event.key === "E") change(chosen);
  else return;
  event.preventDefault();
}

/** Draws the chapter's text. */
export function draw() {
  $("reader").hidden = !player.item || !visible();
  if ($("reader").hidden) return;
  $("reader-title").textContent = t("reader.title", { title: player.title });
  $("sentences").setAttribute("aria-label", t("reader.sentences", { title: player.title }));
  const held = $("sentences").contains(document.activeElement);
  spans = player.sentences.map(({ written, text, voice }) =>
    h(
      "span",
      {
        class: "sentence",
        role: "button",
        tabindex: -1,
        lang: languageOf(voice) || null,
      },
      written ?? text,
    ),
  );
  refill($("sentences"), paragraphs());
  [now, chosen] = [-1, 0];
  $("sentences").scrollTop = 0;
  marked();
  follow();
  if (held) spans[chosen]?.focus({ preventScroll: true });
}

function paragraphs() {
  const found = [h("p")];
  player.sentences.forEach((sentence, n) => {
    found.at(-1).append(spans[n], " ");
    if (sentence.pause_ms >= PARAGRAPH_MS) found.push(h("p"));
  });
  return found.filter((each) => each.hasChildNodes());
}

/** Shows which sentences can be heard. */
function marked() {
  if (player.sentences.length > spans.length && visible()) return draw();
  player.sentences.forEach(({ spoken }, n) => spans[n]?.classList.toggle("unspoken", !spoken));
  return undefined;
}

/** Marks the sentence and the word that are heard. */
function follow() {
  if (!spans.length) return;
  if (player.at !== now) {
    spans[now]?.classList.remove("now");
    spans[now]?.removeAttribute("aria-current");
    now = player.at;
    const span = spans[now];
    span?.classList.add("now");
    span?.setAttribute("aria-current", "true");
    if (!$("sentences").contains(document.activeElement)) choose(now, false);
    if (span) show(span);
  }
  markWord();
}

function markWord() {
  if (!CSS.highlights) return;
  const node = spans[now]?.firstChild;
  const place = player.word?.place;
  if (!node || !place || place[1] > node.length) {
    CSS.highlights.delete("word");
    return;
  }
  const range = new Range();
  range.setStart(node, place[0]);
  range.setEnd(node, place[1]);
  CSS.highlights.set("word", new Highlight(range));
}

function choose(at, focus) {
  if (!spans[at]) return;
  spans[chosen]?.classList.remove("chosen");
  if (spans[chosen]) spans[chosen].tabIndex = -1;
  chosen = at;
  spans[at].classList.add("chosen");
  spans[at].tabIndex = 0;
  if (focus) {
    spans[at].focus({ preventScroll: true });
    show(spans[at]);
  }
}

/** Scrolls within the text, never the page. */
function show(span) {
  const box = $("sentences");
  const place = span.getBoundingClientRect();
  const frame = box.getBoundingClientRect();
  if (place.top < frame.top || place.bottom > frame.bottom - frame.height / 4) {
    box.scrollTop += place.top - frame.top - frame.height / 3;
  }
}
