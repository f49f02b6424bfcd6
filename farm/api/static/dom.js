/** Elements: found, made and replaced. Text never becomes markup here. */

export const $ = (id) => document.getElementById(id);

/** Makes an element: `h("a", { href: "#" }, "text", other)`; a function is a listener. */
export function h(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Returns a text's parts: what stands between backticks is code. */
export function prose(text) {
  return text.split("`").map((part, n) => (n % 2 ? h("code", {}, part) : part));
}

/** Puts children in place of what is there; whoever had the focus, by `data-key`, keeps it. */
export function refill(parent, ...children) {
  const held = parent.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const open = [...parent.querySelectorAll("details[open][data-key]")].map(
    (each) => each.dataset.key,
  );
  parent.replaceChildren(...children.flat().filter(Boolean));
  for (const each of parent.querySelectorAll("details[data-key]")) {
    if (open.includes(each.dataset.key)) each.open = true;
  }
  if (held)
    parent.querySelector(`[data-key="${CSS.escape(held)}"]`)?.focus({ preventScroll: true });
}

/** Shows a text in an element that is hidden while there is none. */
export function tell(element, text) {
  element.textContent = text;
  element.hidden = !text;
}

/** Says something to those who listen to the page. */
export function announce(text) {
  $("announce").textContent = text;
}

/** Opens a dialog; resolves with what `act` returns, or null where it is closed. */
export function ask(dialog, act) {
  const form = dialog.querySelector("form");
  return new Promise((resolve) => {
    const over = new AbortController();
    let answer = null;
    const end = (value) => {
      answer = value;
      dialog.close();
    };
    form.addEventListener(
      "submit",
      async (event) => {
        event.preventDefault();
        const value = await act(event);
        if (value !== null && value !== undefined) end(value);
      },
      over,
    );
    for (const button of dialog.querySelectorAll("[data-close]")) {
      button.addEventListener("click", () => end(null), over);
    }
    dialog.addEventListener(
      "close",
      () => {
        over.abort();
        resolve(answer);
      },
      over,
    );
    dialog.showModal();
  });
}

/** Asks whether something is to be done. */
export async function confirmed(title, why, yes) {
  $("confirm-title").textContent = title;
  $("confirm-why").textContent = why;
  $("confirm-yes").textContent = yes;
  return Boolean(await ask($("confirm"), () => true));
}

/** Waits. */
export const sleep = (ms) =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
