/**
 * Two ways to sound a chapter: from its file, which has marks, or sentence by sentence while it is
 * still being made. Both tell `told.moved(sentence, word)`, `told.ended()`, `told.failed(error)`.
 */

import { sleep } from "./dom.js";

/** Milliseconds between two looks whether the next sentence is there. */
const LOOK_MS = 1000;

/** Plays a finished chapter; `sentences` have `from` and `to` (ms) and `words`. */
export class FileSource {
  #audio;
  #sentences;
  #address;
  #told;
  #over = new AbortController();
  #again = true;

  constructor(audio, sentences, address, told) {
    [this.#audio, this.#sentences, this.#address, this.#told] = [audio, sentences, address, told];
    const { signal } = this.#over;
    audio.addEventListener("ended", () => told.ended(), { signal });
    audio.addEventListener("playing", () => this.#tick(), { signal });
    audio.addEventListener("error", () => this.#renew(), { signal });
  }

  async play(at) {
    if (!this.#audio.getAttribute("src")) await this.#open();
    const place = this.#sentences.slice(at).find((sentence) => sentence.from !== undefined);
    this.#audio.currentTime = at === 0 ? 0 : (place?.from ?? 0) / 1000;
    await this.#audio.play();
  }

  resume() {
    return this.#audio.play();
  }

  pause() {
    this.#audio.pause();
  }

  stop() {
    this.#over.abort();
    empty(this.#audio);
  }

  async #open() {
    this.#audio.src = await this.#address();
    await new Promise((resolve) => {
      this.#audio.addEventListener("loadedmetadata", resolve, {
        once: true,
        signal: this.#over.signal,
      });
    });
  }

  /** An address holds for a while only: ask for a new one, once. */
  async #renew() {
    if (!this.#again) return this.#told.failed(new Error(this.#audio.error?.message ?? ""));
    this.#again = false;
    const seconds = this.#audio.currentTime;
    try {
      await this.#open();
      this.#audio.currentTime = seconds;
      await this.#audio.play();
    } catch (error) {
      this.#told.failed(error);
    }
    return undefined;
  }

  #tick() {
    if (this.#over.signal.aborted) return;
    const ms = this.#audio.currentTime * 1000;
    const at = last(
      this.#sentences,
      (sentence) => sentence.from !== undefined && sentence.from <= ms,
    );
    const words = this.#sentences[at]?.words ?? [];
    this.#told.moved(Math.max(at, 0), words[last(words, (word) => word.from <= ms)] ?? null);
    if (!this.#audio.paused) requestAnimationFrame(() => this.#tick());
  }
}

/** Plays sentences as they are spoken; `fetched(sentence)` gives audio, `look()` whether more comes. */
export class SentenceSource {
  #audio;
  #sentences;
  #fetched;
  #look;
  #told;
  #turn = 0;
  #held = null;
  #urls = new Map();

  constructor(audio, sentences, fetched, look, told) {
    [this.#audio, this.#sentences, this.#fetched, this.#look, this.#told] = [
      audio,
      sentences,
      fetched,
      look,
      told,
    ];
  }

  async play(at) {
    const turn = ++this.#turn;
    const stale = () => turn !== this.#turn;
    this.#release();
    this.#audio.pause();
    for (let n = at; await this.#there(n, stale); n += 1) {
      if (stale()) return;
      this.#told.moved(n, null);
      const url = await this.#url(n, stale);
      if (stale()) return;
      if (!url) continue;
      if (this.#sentences[n + 1]?.spoken) this.#load(n + 1).catch(() => {}); // asked for again in its turn
      await this.#sound(url, this.#sentences[n].pause_ms, stale);
      if (stale()) return;
    }
    if (!stale()) this.#told.ended();
  }

  resume() {
    this.#release();
    return this.#audio.ended || !this.#audio.getAttribute("src") ? undefined : this.#audio.play();
  }

  pause() {
    this.#audio.pause();
    if (!this.#held) {
      let release;
      this.#held = new Promise((resolve) => {
        release = resolve;
      });
      this.#held.release = release;
    }
  }

  stop() {
    this.#turn += 1;
    this.#release();
    empty(this.#audio);
    for (const url of this.#urls.values()) URL.revokeObjectURL(url);
  }

  #release() {
    this.#held?.release();
    this.#held = null;
  }

  /** Whether there is such a sentence, waiting for it where the text is still being read. */
  async #there(n, stale) {
    while (n >= this.#sentences.length && !stale()) {
      if (!(await this.#look())) break;
      this.#told.waiting();
      await sleep(LOOK_MS);
    }
    return n < this.#sentences.length;
  }

  /** Returns a sentence's audio, waiting for it; empty where it cannot be spoken. */
  async #url(n, stale) {
    while (!stale()) {
      if (this.#sentences[n].spoken) return this.#load(n);
      const more = await this.#look();
      if (this.#sentences[n].spoken) continue;
      if (!more) {
        this.#told.skipped();
        return "";
      }
      this.#told.waiting();
      await sleep(LOOK_MS);
    }
    return "";
  }

  async #load(n) {
    const sentence = this.#sentences[n];
    if (!this.#urls.has(sentence))
      this.#urls.set(sentence, URL.createObjectURL(await this.#fetched(sentence)));
    return this.#urls.get(sentence);
  }

  async #sound(url, pauseMs, stale) {
    await this.#held;
    if (stale()) return;
    this.#audio.src = url;
    const ended = new Promise((resolve) => {
      this.#audio.addEventListener("ended", resolve, { once: true });
    });
    await this.#audio.play().catch((error) => {
      if (!stale() && error.name !== "AbortError") throw error; // paused at once: no error
    });
    await ended;
    await sleep(pauseMs / this.#audio.playbackRate);
    await this.#held;
  }
}

function empty(audio) {
  audio.pause();
  audio.removeAttribute("src");
  audio.load();
}

/** Returns the index of the last row for which a rising condition holds, or -1. */
function last(rows, holds) {
  for (let n = rows.length - 1; n >= 0; n -= 1) if (holds(rows[n])) return n;
  return -1;
}
