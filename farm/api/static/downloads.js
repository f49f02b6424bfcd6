/** The files that a job made, to be fetched. */

import { h } from "./dom.js";
import { known, size, t } from "./i18n.js";

/** A link that fetches a file; of another place (S3) in a tab of its own, as it might be played. */
function link(file, given, text) {
  const target = file.url.startsWith("/") ? null : "_blank";
  return h(
    "a",
    {
      ...given,
      href: file.url,
      download: file.name,
      target,
      rel: "noreferrer",
      "data-key": `file-${file.name}`,
    },
    text,
  );
}

/** Names a kind of file; one that this page does not know by its own name. */
function kind({ format }) {
  return known(`format.${format}`) ? t(`format.${format}`) : format.toUpperCase();
}

/** Shows a job's files: those of the whole, and those of so many of its items. */
export function downloads(files, count) {
  const whole = files.filter((file) => !file.item);
  const parts = files.filter((file) => file.item);
  if (!files.length) return null;
  const rows = new Map();
  for (const file of parts) rows.set(file.item, [...(rows.get(file.item) ?? []), file]);
  const list = [...rows.values()].slice(0, count).map((some) =>
    h(
      "li",
      {},
      h("span", {}, some[0].name.replace(/\.[^.]+$/, "")),
      h(
        "span",
        {},
        some.flatMap((file) => [
          link(file, { title: kind(file), "aria-label": file.name }, file.format.toUpperCase()),
          " ",
        ]),
      ),
    ),
  );
  return h(
    "section",
    { class: "card", "aria-labelledby": "downloads-title" },
    h("h2", { id: "downloads-title" }, t("job.downloads")),
    whole.length
      ? h(
          "div",
          { class: "files" },
          whole.map((file) =>
            link(file, { class: "button", title: file.name }, `${kind(file)} · ${size(file.size)}`),
          ),
        )
      : null,
    list.length
      ? h(
          "details",
          { "data-key": "parts", open: !whole.length },
          h("summary", { "data-key": "parts-summary" }, t("job.downloads.chapters")),
          h("ul", { class: "list" }, list),
        )
      : null,
  );
}
