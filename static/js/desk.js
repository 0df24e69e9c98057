/* The agents' desk as it goes on. The server says "look" when something has changed (one stream for
   the queue and the conversation); what is new comes as the same HTML that the page was made of. */
(() => {
  "use strict";

  const desk = document.getElementById("desk");
  if (!desk) return;
  const queue = document.getElementById("queue");
  const one = document.getElementById("one");
  const log = document.getElementById("log");
  const form = document.getElementById("say");

  /* --- What is new --------------------------------------------------------------------------- */

  const said = (element) => {
    /* The page's own script says the moments in the reader's zone. */
    element.dispatchEvent(new CustomEvent("htmx:load", { bubbles: true }));
  };

  /* The body of a page of ours; null where nothing is new. */
  const fetched = (address) =>
    new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("GET", address);
      request.responseType = "document";
      request.setRequestHeader("Accept", "text/html");
      request.addEventListener("load", () => {
        const asked = new URL(address, location.href).pathname;
        const moved = request.responseURL && new URL(request.responseURL).pathname !== asked;
        if (moved || request.status >= 400) reject(new Error(String(request.status)));
        else resolve(request.status === 204 ? null : request.response.body);
      });
      request.addEventListener("error", () => reject(new Error("unreachable")));
      request.send();
    });

  const mark = () => queue.querySelector("[data-mark]").dataset.mark;

  let freshAt = Date.now();
  const lookAtQueue = async (anew = false) => {
    const seen = anew ? "" : encodeURIComponent(mark());
    const found = await fetched(`${queue.dataset.live}&seen=${seen}`);
    if (!found) return;
    const row = document.activeElement?.closest?.(".desk-row");
    queue.replaceChildren(...found.children);
    if (row) queue.querySelector(`[href="${CSS.escape(row.getAttribute("href"))}"]`)?.focus();
    said(queue);
  };

  const isDown = () => log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  const down = () => {
    log.scrollTop = log.scrollHeight;
  };

  const exchange = (found, id) => {
    const before = document.getElementById(id);
    const after = found.querySelector(`#${id}`);
    if (!before || !after) return;
    /* Not under the hands of whoever is choosing in it. */
    if (before.contains(document.activeElement) && id === "desk-facts") return;
    const key = before.contains(document.activeElement) && document.activeElement.dataset.key;
    before.replaceWith(after);
    if (key) after.querySelector(`[data-key="${key}"]`)?.focus();
    said(after);
  };

  const lookAtOne = async () => {
    const found = await fetched(`${one.dataset.live}&after=${one.dataset.seq}`);
    if (!found) return;
    const follows = isDown();
    const seq = Number(one.dataset.seq);
    for (const line of found.querySelectorAll("ol > li[data-seq]")) {
      if (Number(line.dataset.seq) > seq) document.getElementById("lines").append(line);
    }
    one.dataset.seq = found.firstElementChild.dataset.seq;
    exchange(found, "desk-head");
    exchange(found, "desk-facts");
    said(log);
    if (follows) down();
  };

  const others = document.getElementById("others");
  let seenOthers = null;
  const lookAtOthers = async (now) => {
    const mark = JSON.stringify(now || []);
    if (!others || mark === seenOthers) return;
    seenOthers = mark;
    const found = await fetched(others.dataset.live);
    if (found) others.replaceChildren(...found.children);
  };

  /* One look at a time; what is said meanwhile is looked at afterwards. */
  let looking = false;
  let again = false;
  const look = async () => {
    again = true;
    if (looking) return;
    looking = true;
    while (again) {
      again = false;
      try {
        await lookAtQueue();
        if (one) await lookAtOne();
      } catch {
        break;
      }
    }
    looking = false;
  };

  let source = null;
  const listen = () => {
    source = new EventSource(`${desk.dataset.stream}?conversation=${desk.dataset.conversation}`);
    source.addEventListener("look", (event) => {
      const heard = JSON.parse(event.data);
      const suggestion = document.getElementById("suggestion");
      suggestion?.dispatchEvent(
        new CustomEvent("desk:heard", { detail: heard.suggestion || "" }),
      );
      lookAtOthers(heard.others).catch(() => { seenOthers = null; });
      look();
    });
  };
  listen();
  /* Where the stream does not come through, and because moments grow old: look now and then. */
  setInterval(() => {
    if (document.hidden) return;
    if (Date.now() - freshAt > 60000) {
      freshAt = Date.now();
      lookAtQueue(true).catch(() => {});
    }
    if (source.readyState === EventSource.CLOSED) listen();
    if (source.readyState !== EventSource.OPEN) look();
  }, 3000);
  window.addEventListener("pagehide", () => source.close());
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) listen();
  });

  /* --- From one conversation to the next ----------------------------------------------------- */

  const rows = () => [...queue.querySelectorAll(".desk-row")];
  const step = (by) => {
    const all = rows();
    const at = all.findIndex((row) => row.hasAttribute("aria-current"));
    const next = at < 0 ? all[0] : all[at + by];
    next?.click();
  };

  const isTyping = (target) => target.matches?.("textarea, select, input:not([type=radio])");
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
    if (event.key === "j") step(1);
    else if (event.key === "k") step(-1);
  });

  /* --- Writing ------------------------------------------------------------------------------- */

  if (log) down();
  if (!form) return;
  const box = form.elements.text;
  const send = document.getElementById("send");
  const trouble = document.getElementById("trouble");
  form.elements.client_id.value = crypto.randomUUID();
  const isNote = () => form.elements.private.value === "on";

  /* A reply that was begun is still here after a look at another conversation. */
  const kept = `parley-desk:${desk.dataset.conversation}`;
  box.value ||= sessionStorage.getItem(kept) || "";
  const keep = () => {
    if (box.value) sessionStorage.setItem(kept, box.value);
    else sessionStorage.removeItem(kept);
  };
  box.addEventListener("input", keep);

  /* Colleagues who have it open see that somebody writes. */
  let toldAt = 0;
  box.addEventListener("input", () => {
    if (Date.now() - toldAt < 4000 || !box.value) return;
    toldAt = Date.now();
    const body = new URLSearchParams({
      csrfmiddlewaretoken: form.elements.csrfmiddlewaretoken.value,
    });
    fetch(form.dataset.typing, { method: "POST", body }).catch(() => {});
  });

  const dress = () => {
    form.classList.toggle("is-note", isNote());
    box.placeholder = isNote() ? box.dataset.toTeam : box.dataset.toVisitor;
  };
  for (const kind of form.elements.private) {
    kind.addEventListener("change", dress);
    /* The key puts the focus on the kind: what one wants is to write. */
    kind.addEventListener("focus", () => {
      if (pressed !== kind.dataset.key) return;
      kind.checked = true;
      dress();
      box.focus();
    });
  }
  let pressed = "";
  document.addEventListener("keydown", (event) => { pressed = event.key; }, true);
  document.addEventListener("keyup", () => { pressed = ""; }, true);

  const isSure = (sure) => {
    form.elements.sure.value = sure ? "on" : "";
    send.firstElementChild.textContent = sure ? send.dataset.anyway : send.dataset.send;
  };

  /* Again and again under one id until it has arrived: a repeat is the same message. */
  const post = async () => {
    for (let pause = 1000; ; pause = Math.min(pause * 2, 15000)) {
      try {
        const answer = await fetch(form.action, {
          method: "POST",
          body: new URLSearchParams(new FormData(form)),
          headers: { Accept: "application/json" },
        });
        if (answer.redirected || answer.status === 403) return { detail: desk.dataset.signin };
        if (answer.ok || (answer.status < 500 && answer.status !== 429)) return await answer.json();
      } catch {
        /* No connection: below. */
      }
      trouble.textContent = desk.dataset.offline;
      await new Promise((go) => setTimeout(go, pause));
    }
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (send.disabled || !box.value.trim()) return;
    send.disabled = true;
    box.readOnly = true;
    const { code, detail, seq } = await post();
    box.readOnly = false;
    send.disabled = false;
    trouble.textContent = detail || "";
    /* Whoever has read what a colleague answered meanwhile may send all the same. */
    isSure(code === "answered_meanwhile");
    if (detail) look();
    else {
      box.value = "";
      form.elements.read_to.value = seq;
      form.elements.suggestion.value = "";
      form.elements.client_id.value = crypto.randomUUID();
      keep();
      form.elements.private[0].checked = true;
      dress();
      down();
      look();
    }
    box.focus();
  });

  box.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.requestSubmit();
    } else if (event.key === "Escape") box.blur();
  });
})();
