/** The player at the bottom of the page: one chapter, sentence by sentence, then the next one. */

import { get, job as address, request } from "./api.js";
import { ended } from "./acts.js";
import { $, sleep } from "./dom.js";
import { t } from "./i18n.js";
import { addMarks } from "./marks.js";
import { FileSource, SentenceSource } from "./sources.js";

/** Formats of files, those that are played rather first, and what a browser calls them. */
const KINDS = {
  m4a: 'audio/mp4; codecs="mp4a.40.2"',
  mp3: "audio/mpeg",
  opus: 'audio/ogg; codecs="opus"',
  flac: "audio/flac",
  wav: "audio/wav",
};
const STORED = "farm.rate";
const LOOK_MS = 700;

/** Tells `chapter` (other sentences), `spoken` (more of them), `place` (another one), `state`. */
export const player = new (class extends EventTarget {
  job = null;
  item = null;
  sentences = [];
  at = 0;
  word = null;
  playing = false;
  #source = null;
  #note = "";
  #opening = 0;
  #over = false; // what plays has come to its end, or to an error

  begin() {
    const rate = $("player-rate");
    rate.value = localStorage.getItem(STORED) ?? "1";
    rate.addEventListener("change", () => this.#setRate());
    $("player-play").addEventListener("click", () => this.toggle());
    $("player-back").addEventListener("click", () => this.play(Math.max(0, this.at - 1)));
    $("player-next").addEventListener("click", () => this.play(this.at + 1));
    $("player-close").addEventListener("click", () => this.close());
    $("player-place").addEventListener("change", (event) =>
      this.play(Number(event.target.value) - 1),
    );
    const session = navigator.mediaSession;
    session?.setActionHandler("play", () => this.toggle());
    session?.setActionHandler("pause", () => this.toggle());
    session?.setActionHandler("previoustrack", () => this.play(Math.max(0, this.at - 1)));
    session?.setActionHandler("nexttrack", () => this.play(this.at + 1));
    this.#setRate();
  }

  /** Opens a chapter and plays it from a sentence on. */
  async open(job, item, at = 0) {
    const opening = ++this.#opening;
    this.#source?.stop();
    this.#source = null;
    [this.job, this.item, this.sentences, this.at, this.word] = [job, item, [], at, null];
    this.#say("loading");
    this.#told("chapter");
    try {
      const marks = await this.#prepare();
      if (opening !== this.#opening) return;
      this.#source = marks ? this.#fileSource() : this.#sentenceSource();
      this.#say("");
      this.#told("chapter");
      await this.play(at);
    } catch (error) {
      if (opening === this.#opening) this.#failed(error);
    }
  }

  /** Plays from a sentence on. */
  async play(at) {
    if (!this.#source || (at >= this.sentences.length && at > 0)) return;
    this.playing = true;
    this.#over = false;
    this.#moved(at, null);
    this.#told("state");
    try {
      await this.#source.play(at);
    } catch (error) {
      this.#failed(error);
    }
  }

  toggle() {
    if (!this.#source) return;
    if (this.#over) {
      this.play(this.at);
      return;
    }
    this.playing = !this.playing;
    if (this.playing) Promise.resolve(this.#source.resume()).catch((error) => this.#failed(error));
    else this.#source.pause();
    this.#told("state");
  }

  close() {
    this.#opening += 1;
    this.#source?.stop();
    this.#source = null;
    [this.job, this.item, this.sentences, this.playing] = [null, null, [], false];
    this.#told("chapter");
  }

  /** Waits until an edited sentence is spoken anew, and plays from there. */
  async again(name, index, start) {
    this.close();
    const opening = this.#opening;
    const base = address(name);
    while (opening === this.#opening) {
      const job = await get(base);
      const [item] = (await get(`${base}/items?offset=${index}&limit=1`)).data;
      const rows = item ? (await get(`${base}/items/${index}/segments`)).data : [];
      const at = rows.findIndex((row) => row.start === start);
      if (opening !== this.#opening) return;
      if (rows[at]?.spoken) {
        this.open(job, item, at);
        return;
      }
      if (ended(job)) return;
      await sleep(LOOK_MS);
    }
  }

  get note() {
    return this.#note && t(`player.${this.#note}`);
  }

  get title() {
    return this.item ? itemTitle(this.job, this.item) : "";
  }

  /** Fetches the text, and the marks of a file that can be played. */
  async #prepare() {
    const base = this.#base();
    const rows = (await get(`${base}/segments`)).data;
    const sentences = rows.map((row) => ({ ...row, words: [] }));
    const marked = this.item.formats.includes("marks") && this.#playable();
    if (marked) addMarks(sentences, (await get(`${base}/marks`)).data);
    this.sentences = sentences;
    return marked;
  }

  #base() {
    return `${address(this.job.id)}/items/${this.item.index}`;
  }

  #playable() {
    return Object.keys(KINDS).find(
      (kind) => this.item.formats.includes(kind) && $("audio").canPlayType(KINDS[kind]),
    );
  }

  #fileSource() {
    const kind = this.#playable();
    const url = `${this.#base()}/files`;
    return new FileSource(
      $("audio"),
      this.sentences,
      async () => {
        const files = (await get(url)).data;
        return files.find((file) => file.format === kind).url;
      },
      this.#tellings(),
    );
  }

  #sentenceSource() {
    const base = this.#base();
    const fetched = async ({ start }) => (await request(`${base}/segments/${start}/audio`)).blob();
    return new SentenceSource(
      $("audio"),
      this.sentences,
      fetched,
      () => this.#look(base),
      this.#tellings(),
    );
  }

  #tellings() {
    const opening = this.#opening;
    const mine =
      (act) =>
      (...given) => {
        if (opening === this.#opening) act(...given);
      };
    return {
      moved: mine((at, word) => this.#moved(at, word)),
      ended: mine(() => this.#next()),
      failed: mine((error) => this.#failed(error)),
      waiting: mine(() => this.#say("waiting")),
      skipped: mine(() => this.#say("skipped")),
    };
  }

  /** Asks what is spoken by now; returns whether there is more to come. */
  async #look(base) {
    try {
      const job = await get(address(this.job.id));
      const rows = (await get(`${base}/segments`)).data;
      rows.forEach((row, n) => {
        if (n < this.sentences.length) this.sentences[n].spoken = row.spoken;
        else this.sentences.push({ ...row, words: [] });
      });
      this.#told("spoken");
      return !ended(job);
    } catch (error) {
      if (error.status === 0 || error.status === 503) return true;
      throw error;
    }
  }

  #moved(at, word) {
    if (at === this.at && word === this.word) return;
    [this.at, this.word] = [at, word];
    if (this.#note) this.#say("");
    this.#told("place");
  }

  async #next() {
    const job = this.job;
    try {
      const [item] = (await get(`${address(job.id)}/items?offset=${this.item.index + 1}&limit=1`))
        .data;
      if (item) return await this.open(job, item);
    } catch (error) {
      this.#failed(error);
    }
    this.#moved(0, null);
    return this.#halted();
  }

  #setRate() {
    const rate = Number($("player-rate").value);
    localStorage.setItem(STORED, String(rate));
    $("audio").defaultPlaybackRate = rate;
    $("audio").playbackRate = rate;
  }

  #failed(error) {
    if (error.name === "AbortError") return;
    this.#halted();
    $("player-note").textContent = t("player.cannot", { reason: error.message });
  }

  #halted() {
    this.playing = false;
    this.#over = true;
    this.#told("state");
  }

  #say(key) {
    this.#note = key;
    this.#told("state");
  }

  #told(type) {
    draw();
    this.dispatchEvent(new Event(type));
  }
})();

/** Names a chapter, or a line of a batch. */
export function itemTitle(job, item) {
  return item.title || (job.kind === "book" ? t("job.chapter", { n: item.index + 1 }) : item.id);
}

/** Draws the bar. */
export function draw() {
  const { item, playing, at, sentences } = player;
  $("player").hidden = !item;
  document.body.classList.toggle("playing", Boolean(item));
  if (!item) return;
  $("player-title").textContent = player.job.title
    ? `${player.title} · ${player.job.title}`
    : player.title;
  const label = t(playing ? "player.pause" : "player.play");
  $("player-play").setAttribute("aria-label", label);
  $("player-play").title = label;
  $("icon-play").toggleAttribute("hidden", playing);
  $("icon-pause").toggleAttribute("hidden", !playing);
  const place = $("player-place");
  place.max = Math.max(1, sentences.length);
  if (document.activeElement !== place) place.value = at + 1;
  place.setAttribute(
    "aria-valuetext",
    t("player.place-of", { n: at + 1, total: sentences.length }),
  );
  $("player-note").textContent = player.note;
  $("player-where").textContent = sentences.length
    ? t("player.place-of", { n: at + 1, total: sentences.length })
    : "";
  if (navigator.mediaSession && navigator.mediaSession.metadata?.title !== player.title) {
    navigator.mediaSession.metadata = new MediaMetadata({
      title: player.title,
      album: player.job.title,
    });
  }
}
