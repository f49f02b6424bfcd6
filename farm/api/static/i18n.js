/** The page's words, in the reader's language. */

const LANGUAGES = { en: "en", zh: "zh-CN" };
const STORED = "farm.language";
let words = {};

export let language = "en";

/** Returns a text, `{name}` replaced by what is given. */
export function t(key, given = {}) {
  const text = words[key];
  if (text === undefined) throw new Error(`no text ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => given[name]);
}

/** Whether there is such a text. */
export const known = (key) => key in words;

/** Loads the words: of the language chosen here, else of the browser's. */
export async function load() {
  const wanted = localStorage.getItem(STORED) ?? navigator.language.split("-")[0];
  language = wanted in LANGUAGES ? wanted : "en";
  const response = await fetch(`/static/i18n/${language}.json`);
  words = await response.json();
  translate();
}

/** Changes to the other language. */
export async function toggle() {
  localStorage.setItem(STORED, language === "en" ? "zh" : "en");
  await load();
}

/** Fills in the texts of the elements that name theirs. */
function translate() {
  document.documentElement.lang = LANGUAGES[language];
  for (const each of document.querySelectorAll("[data-t]")) each.textContent = t(each.dataset.t);
  for (const each of document.querySelectorAll("[data-t-label]")) {
    each.setAttribute("aria-label", t(each.dataset.tLabel));
    each.title = t(each.dataset.tLabel);
  }
  for (const each of document.querySelectorAll("[data-t-placeholder]")) {
    each.placeholder = t(each.dataset.tPlaceholder);
  }
}

/** Writes a whole number. */
export const number = (value) => new Intl.NumberFormat(LANGUAGES[language]).format(value);

/** Writes a span of time with its two largest units: `3 hr 20 min`. */
export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const parts = [
    ["hour", Math.floor(whole / 3600)],
    ["minute", Math.floor(whole / 60) % 60],
    ["second", whole % 60],
  ];
  const first = parts.findIndex(([, count]) => count > 0);
  if (first < 0) return unit(0, "second");
  const many = parts[first][1] >= 10; // 13 min, not 13 min 46 sec
  return parts
    .slice(first, first + (many ? 1 : 2))
    .filter(([, count]) => count > 0)
    .map(([name, count]) => unit(count, name))
    .join(" ");
}

function unit(count, name) {
  return new Intl.NumberFormat(LANGUAGES[language], {
    style: "unit",
    unit: name,
    unitDisplay: "short",
  }).format(count);
}

/** Writes the length of audio: `1:02:03`. */
export function clock(seconds) {
  const whole = Math.round(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const [first, ...rest] = parts[0] ? parts : parts.slice(1);
  return [first, ...rest.map((part) => String(part).padStart(2, "0"))].join(":");
}

/** Writes a size in bytes. */
export function size(bytes) {
  const names = ["byte", "kilobyte", "megabyte", "gigabyte"];
  const step = Math.min(3, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  const format = {
    style: "unit",
    unit: names[step],
    unitDisplay: "short",
    maximumFractionDigits: step > 1 ? 1 : 0,
  };
  return new Intl.NumberFormat(LANGUAGES[language], format).format(bytes / 1000 ** step);
}

/** Writes a date of Unix seconds. */
export function date(seconds) {
  const format = { dateStyle: "medium", timeStyle: "short" };
  return new Intl.DateTimeFormat(LANGUAGES[language], format).format(new Date(seconds * 1000));
}

/** Names a language by its tag. */
export function languageName(tag) {
  try {
    return new Intl.DisplayNames([LANGUAGES[language]], { type: "language" }).of(tag) ?? tag;
  } catch {
    return tag;
  }
}
