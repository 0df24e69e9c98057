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

  /* Only the keys that do something on this page: data-if names what must be there. */
  const showKeys = () => {
    const dialog = keysDialog();
    if (!dialog || dialog.open) return;
    for (const line of dialog.querySelectorAll("[data-if]")) {
      line.hidden = !document.querySelector(line.dataset.if);
    }
    dialog.showModal();
  };

  /* Ctrl or ⌘, as the keyboard in front of the reader has it. */
  const isApple = /Mac|iP(hone|ad|od)/.test(navigator.platform);
  for (const chord of document.querySelectorAll("[data-chord]")) {
    chord.textContent = isApple ? `⌘ ${chord.dataset.chord}` : `Ctrl ${chord.dataset.chord}`;
  }

  /* On a narrow screen the rail is a drawer: what lies under it is out of reach while it is open. */
  const drawer = () => document.querySelector("[data-toggles]");
  const toggleDrawer = (open) => {
    const toggle = drawer();
    const body = toggle && document.getElementById(toggle.dataset.toggles);
    if (!body || body.classList.contains("is-open") === open) return;
    body.classList.toggle("is-open", open);
    toggle.setAttribute("aria-expanded", String(open));
    document.getElementById("content").inert = open;
    if (open) body.querySelector("a, button, summary").focus();
    else toggle.focus();
  };
  const isDrawerOpen = () => drawer()?.getAttribute("aria-expanded") === "true";

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
        return;
      }
      toggleDrawer(false);
      return;
    }
    if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
    if (event.key === "?") {
      event.preventDefault();
      showKeys();
    } else if (["ArrowDown", "ArrowUp"].includes(event.key)) {
      moveInList(event);
    } else if (/^[a-z0-9/]$/.test(event.key)) {
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
    if (toggle) toggleDrawer(!isDrawerOpen());
    else if (isDrawerOpen() && !event.target.closest(".rail")) toggleDrawer(false);
    const row = event.target.closest("tr[data-opens]");
    if (row && !event.target.closest("a, button, input, summary") && !getSelection().toString()) {
      row.querySelector(".row-link").click();
    }
  });

  /* A secret that is shown once: one press copies it, and says so. */
  const copy = async (button) => {
    const field = document.getElementById(button.dataset.copies);
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      field.select();
      return;
    }
    const label = button.querySelector("span");
    const before = label.textContent;
    label.textContent = button.dataset.copied;
    setTimeout(() => {
      label.textContent = before;
    }, 2000);
  };
  for (const button of document.querySelectorAll("[data-copies]")) button.hidden = false;
  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element)) return;
    const button = event.target.closest("[data-copies]");
    if (button) copy(button);
    if (event.target.matches("[data-selects]")) event.target.select();
  });

  /* An address is proposed from the name for as long as nobody writes one. */
  for (const name of document.querySelectorAll("[data-slugs]")) {
    const slug = document.getElementById(name.dataset.slugs);
    let own = Boolean(slug.value);
    slug.addEventListener("input", () => {
      own = Boolean(slug.value);
    });
    name.addEventListener("input", () => {
      if (own) return;
      const plain = name.value.normalize("NFKD").toLowerCase();
      slug.value = plain
        .replace(/[\u0300-\u036f]/g, "")
        .replace(/[^a-z0-9]+/g, "-")
        .replace(/^-+|-+$/g, "")
        .slice(0, 63);
    });
  }

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
