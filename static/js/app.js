/* What every page does beyond its HTML. Nothing here is needed to read or to send a form. */
(() => {
  "use strict";

  const language = document.documentElement.lang || "en";
  const exact = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" });
  const clock = new Intl.DateTimeFormat(language, { timeStyle: "medium", hourCycle: "h23" });

  /* The server writes the moment in UTC; on hover it is said in the reader's own zone. */
  const localiseTimes = (root) => {
    for (const element of root.querySelectorAll("time[datetime]")) {
      const moment = new Date(element.dateTime);
      if (Number.isNaN(moment.getTime())) continue;
      element.title = exact.format(moment);
      if ("clock" in element.dataset) element.textContent = clock.format(moment);
    }
  };

  const isTyping = (target) =>
    target instanceof HTMLElement &&
    (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName));

  const keysDialog = () => document.getElementById("keys");

  const showKeys = () => {
    const dialog = keysDialog();
    if (dialog && !dialog.open) dialog.showModal();
  };

  /* Two-letter ways ("g j") are written on the links themselves, as data-key. */
  let pressed = "";
  let pressedAt = 0;
  const followKey = (event) => {
    const now = Date.now();
    const sequence = now - pressedAt < 1000 && pressed ? `${pressed} ${event.key}` : event.key;
    pressed = event.key;
    pressedAt = now;
    for (const wanted of [sequence, event.key]) {
      const link = document.querySelector(`[data-key="${CSS.escape(wanted)}"]`);
      if (link) {
        event.preventDefault();
        pressed = "";
        if (link.matches("input, textarea, select")) link.focus();
        else link.click();
        return;
      }
    }
  };

  /* Lists: arrows move from row to row, Enter opens (it is a link). */
  const moveInList = (event) => {
    const links = [...document.querySelectorAll("tr[data-opens] .row-link")];
    if (!links.length) return;
    const at = links.indexOf(document.activeElement);
    const inList = at >= 0 || document.activeElement === document.body;
    if (!inList) return;
    const next = event.key === "ArrowDown" || event.key === "j" ? at + 1 : at - 1;
    if (next >= 0 && next < links.length) {
      event.preventDefault();
      links[next].focus();
    }
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      for (const menu of document.querySelectorAll("details.menu[open]")) {
        menu.open = false;
        menu.querySelector("summary").focus();
      }
      return;
    }
    if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
    if (event.key === "?") {
      event.preventDefault();
      showKeys();
    } else if (["ArrowDown", "ArrowUp"].includes(event.key)) {
      moveInList(event);
    } else if (/^[a-z/]$/.test(event.key)) {
      followKey(event);
    }
  });

  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element)) return;
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
    if (event.target.closest("[data-show-keys]")) showKeys();
    const toggle = event.target.closest("[data-toggles]");
    if (toggle) {
      const body = document.getElementById(toggle.dataset.toggles);
      const open = body.classList.toggle("is-open");
      toggle.setAttribute("aria-expanded", String(open));
    }
    const row = event.target.closest("tr[data-opens]");
    if (row && !event.target.closest("a, button, input, summary") && !getSelection().toString()) {
      row.querySelector(".row-link").click();
    }
  });

  /* A choice that sends its form at once; the button beside it serves without script. */
  document.addEventListener("change", (event) => {
    if (event.target instanceof Element && event.target.matches("[data-sends]")) {
      event.target.form.requestSubmit();
    }
  });

  /* A second press of the same button sends nothing twice. */
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.sent) event.preventDefault();
    else if (form.method === "post" && !form.hasAttribute("data-streams")) form.dataset.sent = "1";
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });

  /* Safari and old dialogs aside, the close button is a form with method="dialog". */
  localiseTimes(document);
  document.addEventListener("htmx:load", (event) => localiseTimes(event.target));
})();
