/** A job's chapters, or its lines: how far each is, and its sound. */

import { ended } from "./acts.js";
import { h } from "./dom.js";
import { clock, number, t } from "./i18n.js";
import { itemTitle, player } from "./player.js";

/** Shows items; `listen(item)` plays one, `more()`, where there are more, shows further ones. */
export function chapters(job, items, listen, more) {
  const heading = h(
    "h2",
    { id: "chapters-title" },
    t(job.kind === "book" ? "job.chapters" : "job.lines"),
  );
  if (!items.length) {
    return ended(job)
      ? null
      : h("section", { class: "card" }, heading, h("p", { class: "faint" }, t("job.planning")));
  }
  const button =
    more && h("button", { type: "button", "data-key": "more", click: more }, t("more"));
  return h(
    "section",
    { class: "card", "aria-labelledby": "chapters-title" },
    heading,
    h(
      "ol",
      { class: "list chapters" },
      items.map((item) => chapter(job, item, listen)),
    ),
    button || null,
  );
}

function chapter(job, item, listen) {
  const title = itemTitle(job, item);
  const here = player.item?.index === item.index && player.job?.id === job.id;
  const done = item.spoken >= item.segments && item.segments > 0;
  return h(
    "li",
    { "aria-current": here ? "true" : null },
    h(
      "span",
      { class: item.level > 1 ? "part" : null },
      title,
      item.error ? h("small", { class: "faint" }, ` ${item.error}`) : "",
    ),
    h("progress", {
      max: Math.max(1, item.segments),
      value: item.spoken,
      "aria-label": `${t("job.progress")}: ${title}`,
    }),
    h(
      "span",
      { class: "time" },
      item.seconds
        ? clock(item.seconds)
        : done
          ? "✓"
          : item.segments
            ? `${number(item.spoken)} / ${number(item.segments)}`
            : "…",
    ),
    h(
      "button",
      {
        type: "button",
        class: "small",
        "data-key": `listen-${item.index}`,
        disabled: !item.segments,
        "aria-label": t("job.listen-to", { title }),
        click: () => listen(item),
      },
      h("span", { "aria-hidden": "true" }, "▶\uFE0E"),
      t("job.listen"),
    ),
  );
}
