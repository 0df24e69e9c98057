/* One item a screen, one key an answer. The next items are here before they are needed; an answer is
   kept in this browser (label-outbox.js) and the next item drawn before anything is sent. */
(() => {
  "use strict";

  const stage = document.getElementById("label");
  if (!stage) return;
  const setup = JSON.parse(stage.dataset.setup);
  const form = document.getElementById("label-sends");
  const words = form.dataset;
  const token = form.querySelector("[name=csrfmiddlewaretoken]").value;
  const part = (id) => document.getElementById(id);
  const Outbox = window.ParleyOutbox;

  const ENOUGH = 20;
  const LOW = 14;
  const MOST_SECONDS = 600;

  let queue = [];
  let current = null;
  let chosen = new Set();
  let done = Number(part("done").textContent.replace(/\D/g, ""));
  let left = 0;
  let fetching = false;
  let exhausted = false;
  let lookTimer = 0;
  const history = setup.recent.map((one) => ({ ...one }));

  /* --- Time: what the eye had, without what the tab was hidden --------------------------- */

  let drawnAt = 0;
  let hiddenFor = 0;
  let hiddenSince = document.hidden ? performance.now() : 0;
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) hiddenSince = performance.now();
    else if (hiddenSince) {
      hiddenFor += performance.now() - hiddenSince;
      hiddenSince = 0;
    }
  });
  const seconds = () => {
    const spent = (performance.now() - drawnAt - hiddenFor) / 1000;
    return Math.round(Math.min(Math.max(spent, 0), MOST_SECONDS) * 1000) / 1000;
  };

  /* --- Saying things ---------------------------------------------------------------------- */

  const trouble = (text) => {
    part("trouble-text").textContent = text;
    part("trouble").hidden = !text;
  };

  const outbox = new Outbox(`parley-label:${setup.person}:${setup.task}:`, setup.answers, token, {
    unsent: (count) => {
      part("unsent").textContent = count > 2 ? words.unsent.replace("%s", count) : "";
    },
    reached: () => {
      if ("lost" in part("trouble").dataset) {
        delete part("trouble").dataset.lost;
        trouble("");
      }
    },
    failed: (signedOut) => {
      part("trouble").dataset.lost = "";
      trouble(signedOut ? words.signin : words.offline);
    },
    refused: (result) => {
      if (result.code !== "nothing_to_undo") trouble(`${words.refused} ${result.detail}`);
    },
  });

  /* --- Drawing ----------------------------------------------------------------------------- */

  const turn = ({ role, text }) => {
    const found = [];
    if (role) {
      const who = document.createElement("p");
      who.className = "label-role";
      who.textContent = words[role] || role;
      found.push(who);
    }
    const said = document.createElement("p");
    said.className = "label-text";
    said.textContent = text;
    return [...found, said];
  };

  const buttons = [...stage.querySelectorAll("[data-label]")];
  const byKey = new Map(buttons.map((one) => [one.dataset.labelKey, one]));

  const showSuggestion = () => {
    const said = current && setup.suggests ? current.suggestion : null;
    part("said").hidden = !said;
    for (const one of buttons) {
      one.classList.toggle("is-suggested", Boolean(said) && one.dataset.label === said.label);
    }
    if (!said) return;
    part("said-label").textContent = said.label;
    part("said-share").value = said.confidence;
    const sure = said.confidence >= 0.9 ? words.sure : words.unsure;
    const word = said.confidence >= 0.6 && said.confidence < 0.9 ? words.leaning : sure;
    part("said-word").textContent = `${Math.round(said.confidence * 100)} % · ${word}`;
    part("said-model").textContent = said.model;
  };

  const showChosen = () => {
    for (const one of buttons) {
      const is = chosen.has(one.dataset.label);
      one.classList.toggle("is-chosen", is);
      if (setup.mode === "multi") one.setAttribute("aria-pressed", String(is));
    }
  };

  const showFigures = () => {
    part("done").textContent = done.toLocaleString(document.documentElement.lang);
  };

  const draw = (labels = null) => {
    current = queue.length ? queue[0] : null;
    stage.classList.toggle("is-waiting", !current);
    closeEditor();
    const holder = part("item");
    if (current) {
      holder.replaceChildren(...current.turns.flatMap(turn));
      holder.dataset.item = current.id;
      const prefill = setup.mode === "multi" && current.suggestion ? [current.suggestion.label] : [];
      chosen = new Set(labels || prefill);
    } else {
      holder.replaceChildren();
      delete holder.dataset.item;
      chosen = new Set();
    }
    part("finished").hidden = Boolean(current) || !exhausted;
    part("choices").hidden = !current;
    holder.hidden = !current && exhausted;
    showSuggestion();
    showChosen();
    drawnAt = performance.now();
    hiddenFor = 0;
    if (document.hidden) hiddenSince = drawnAt;
  };

  /* --- Fetching ahead ---------------------------------------------------------------------- */

  const pending = () =>
    outbox.entries().map(([, event]) => event.item).filter(Boolean);

  const refill = async () => {
    const lacking = setup.suggests ? queue.filter((one) => !one.suggestion) : [];
    const wanted = exhausted || queue.length >= LOW ? 0 : ENOUGH - queue.length;
    if (fetching || (!wanted && !lacking.length)) return;
    fetching = true;
    const body = new URLSearchParams();
    body.set("csrfmiddlewaretoken", token);
    body.set("count", String(wanted));
    for (const id of new Set([...queue.map((one) => one.id), ...pending()])) body.append("held", id);
    for (const one of lacking) body.append("without", one.id);
    let again = 0;
    try {
      const found = await Outbox.fetchJson(setup.items, body);
      take(found, wanted);
      if (found.preparing) again = 1000;
      else if (setup.suggests && queue.some((one) => !one.suggestion)) again = 700;
    } catch (fault) {
      if (!queue.length) trouble(fault.name === "SignedOut" ? words.signin : words.offline);
      again = 2000;
    } finally {
      fetching = false;
    }
    clearTimeout(lookTimer);
    if (again) lookTimer = setTimeout(refill, again);
    else if (queue.length < LOW && !exhausted) refill();
  };

  const take = (found, wanted) => {
    /* Answered meanwhile, or here already: neither is shown again. */
    const known = new Set([...queue.map((one) => one.id), ...pending()]);
    queue.push(...found.items.filter((one) => !known.has(one.id)));
    for (const one of queue) {
      if (!one.suggestion && found.suggestions[one.id]) one.suggestion = found.suggestions[one.id];
    }
    left = found.left;
    part("total").textContent = found.total.toLocaleString(document.documentElement.lang);
    if (wanted && !found.items.length) {
      exhausted = !found.preparing && (left === 0 || found.state !== "open") && !pending().length;
      part("finished-text").textContent = found.state === "open" ? words.finished : words.paused;
      if (found.preparing) trouble(words.preparing);
    }
    if (!current && (queue.length || exhausted)) {
      if (queue.length) trouble("");
      draw();
    } else if (current) showSuggestion();
  };

  /* --- Answering --------------------------------------------------------------------------- */

  const answer = (verdict, labels = [], edited = null) => {
    if (!current) return;
    const event = {
      client_id: crypto.randomUUID(),
      item: current.id,
      verdict,
      labels,
      seconds: seconds(),
    };
    if (edited !== null) event.edited = edited;
    if (current.suggestion && setup.suggests) event.shown = current.suggestion.model;
    history.push({ item: current, client_id: event.client_id, labels });
    queue.shift();
    if (verdict !== "skip") done += 1;
    trouble("");
    /* Kept first, so that nothing is drawn over an answer that could still be lost. */
    outbox.put(event);
    draw();
    showFigures();
    refill();
  };

  const undo = () => {
    const last = history.pop();
    if (!last) {
      trouble(words.nothing);
      return;
    }
    outbox.put({ client_id: crypto.randomUUID(), verdict: "undo", undoes: last.client_id });
    queue = [last.item, ...queue.filter((one) => one.id !== last.item.id)];
    exhausted = false;
    if (last.labels.length || setup.mode === "review") done = Math.max(0, done - 1);
    trouble("");
    draw(last.labels);
    showFigures();
  };

  const press = (button) => {
    const label = button.dataset.label;
    if (setup.mode === "multi") {
      if (chosen.has(label)) chosen.delete(label);
      else chosen.add(label);
      showChosen();
    } else answer("accept", [label]);
  };

  const agree = () => {
    if (setup.mode === "review") answer("accept");
    else if (setup.mode === "multi") {
      if (chosen.size) answer("accept", [...chosen]);
    } else if (chosen.size) answer("accept", [...chosen]);
    else if (current && current.suggestion && setup.suggests) {
      answer("accept", [current.suggestion.label]);
    }
  };

  /* --- Editing (reviews) ------------------------------------------------------------------- */

  const editor = part("editor");

  const openEditor = () => {
    if (!editor || !current) return;
    editor.hidden = false;
    part("edited").value = current.answer;
    part("edited").focus();
  };

  function closeEditor() {
    if (!editor || editor.hidden) return;
    editor.hidden = true;
    part("edited").blur();
  }

  const saveEdited = () => {
    const text = part("edited").value;
    if (!text.trim()) return;
    answer("accept", [], text === current.answer ? null : text);
  };

  if (editor) {
    editor.addEventListener("submit", (event) => {
      event.preventDefault();
      saveEdited();
    });
    part("leave-editor").addEventListener("click", closeEditor);
  }

  /* --- Keys and presses -------------------------------------------------------------------- */

  const toggleGuideline = () => {
    const guide = part("guideline");
    const button = part("show-guideline");
    if (!button) return;
    guide.hidden = !guide.hidden;
    stage.classList.toggle("has-guideline", !guide.hidden);
    button.setAttribute("aria-expanded", String(!guide.hidden));
  };

  const doings = {
    accept: () => answer("accept"),
    reject: () => answer("reject"),
    edit: openEditor,
    skip: () => answer("skip"),
    undo,
    commit: agree,
    keys: () => part("label-keys").showModal(),
  };

  const byLetter = { u: undo, Backspace: undo, s: doings.skip, g: toggleGuideline, "?": doings.keys };
  if (setup.mode === "review") Object.assign(byLetter, { a: doings.accept, e: openEditor, r: doings.reject });

  const inEditor = (event) => {
    if (event.key === "Escape") closeEditor();
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      saveEdited();
    }
  };

  /* Before the page's own keys ("g d" and such) hear of it. */
  document.addEventListener(
    "keydown",
    (event) => {
      if (event.isComposing || document.querySelector("dialog[open]")) return;
      if (event.target.matches && event.target.matches("input, textarea, select")) {
        if (event.target.id === "edited") inEditor(event);
        return;
      }
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      /* On a link or a button elsewhere, Enter and space are its own. */
      const elsewhere = event.target.closest && event.target.closest("a, button, summary");
      if (event.key === "Enter" && elsewhere && !stage.contains(elsewhere)) return;
      const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      const button = byKey.get(name);
      const act = button ? () => press(button) : name === "Enter" ? agree : byLetter[name];
      if (!act) return;
      event.preventDefault();
      event.stopPropagation();
      /* A key that is held down answers once. */
      if (!event.repeat) act();
    },
    true,
  );

  document.addEventListener("click", (event) => {
    const choice = event.target.closest("[data-label]");
    if (choice && stage.contains(choice)) press(choice);
    const doing = event.target.closest("[data-does]");
    if (doing && stage.contains(doing)) doings[doing.dataset.does]();
    if (event.target.closest("#show-guideline")) toggleGuideline();
  });

  /* Another tab of the same person answers from the same queue. */
  window.addEventListener("storage", (event) => {
    if (!event.key || !event.key.startsWith(outbox.prefix) || !event.newValue) return;
    const { item } = JSON.parse(event.newValue);
    const wasCurrent = current && current.id === item;
    queue = queue.filter((one) => one.id !== item);
    if (wasCurrent) {
      draw();
      trouble(words.elsewhere);
    }
    refill();
  });

  window.addEventListener("online", () => outbox.send());
  window.addEventListener("pagehide", () => outbox.send());

  stage.classList.add("is-waiting");
  part("choices").hidden = true;
  outbox.tell();
  /* What an earlier page could not send goes first, or the server would hand it out again. */
  outbox.send().finally(refill);
})();
