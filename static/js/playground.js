/* One question to two models at once; each answer is written as it comes. Text stays text. */
(() => {
  "use strict";

  const form = document.getElementById("play");
  if (!form) return;
  const words = form.dataset;
  const question = document.getElementById("question");
  const exchanges = document.getElementById("exchanges");
  const invitation = document.getElementById("invitation");
  const template = document.getElementById("exchange");
  const send = document.getElementById("send");
  const stop = document.getElementById("stop");
  const clear = document.getElementById("clear");
  const temperature = document.getElementById("temperature");
  const shown = document.getElementById("temperature-value");

  /* Each side keeps its own conversation: what the other said is not put in its mouth. */
  let history = { base: [], tuned: [] };
  let running = null;

  const busy = (is) => {
    send.hidden = is;
    stop.hidden = !is;
    clear.hidden = is || !exchanges.querySelector(".exchange");
  };

  const showFault = (answer, fault) => {
    const box = document.createElement("p");
    box.className = "fault";
    box.setAttribute("role", "alert");
    box.append(fault.detail, " ", words.code, " ");
    const code = document.createElement("code");
    code.textContent = fault.code;
    box.append(code);
    answer.insertBefore(box, answer.querySelector(".foot"));
  };

  /* Lines of JSON, whole ones only; the rest waits for the next piece. */
  async function* lines(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += value;
      const whole = rest.split("\n");
      rest = whole.pop();
      for (const line of whole) if (line.trim()) yield JSON.parse(line);
    }
  }

  const request = (side, messages, signal) => {
    const body = new FormData(form);
    body.set("side", side);
    body.set("messages", JSON.stringify(messages));
    return fetch(form.action, { method: "POST", body, signal });
  };

  const fill = (text, value) => text.replace("%s", value);

  const ask = async (answer, messages, signal) => {
    const side = answer.dataset.side;
    const text = answer.querySelector(".text");
    const foot = answer.querySelector(".foot");
    const began = performance.now();
    let written = "";
    let ended = false;
    const notes = [];
    answer.classList.add("is-writing");
    try {
      const response = await request(side, messages, signal);
      const kind = response.headers.get("Content-Type") || "";
      if (!response.ok) {
        const fault = kind.includes("json") ? await response.json() : {};
        showFault(answer, { code: fault.code || `http_${response.status}`, detail: fault.detail || words.refused });
        return;
      }
      for await (const part of lines(response.body)) {
        if (part.text) {
          written += part.text;
          text.textContent = written;
        }
        if (part.error) {
          ended = true;
          showFault(answer, part.error);
        }
        if (part.done) {
          ended = true;
          const seconds = (performance.now() - began) / 1000;
          if (part.done.tokens) {
            notes.push(fill(words.tokens, part.done.tokens));
            notes.push(fill(words.speed, (part.done.tokens / seconds).toFixed(0)));
          }
          if (part.done.reason === "length") notes.push(words.cut);
          if (!written) notes.push(words.empty);
        }
      }
      if (!ended) showFault(answer, { code: "connection_lost", detail: words.lost });
    } catch (error) {
      if (error.name === "AbortError") notes.push(words.stopped);
      else showFault(answer, { code: "connection_lost", detail: words.lost });
    } finally {
      answer.classList.remove("is-writing");
      foot.textContent = notes.join(" · ");
    }
    if (written) messages.push({ role: "assistant", content: written });
    else messages.pop();
  };

  const exchange = async (asked) => {
    const part = template.content.cloneNode(true);
    const section = part.querySelector(".exchange");
    part.querySelector(".asked").textContent = asked;
    exchanges.append(part);
    invitation.hidden = true;
    section.scrollIntoView({ block: "nearest" });
    running = new AbortController();
    busy(true);
    const answers = [...section.querySelectorAll(".answer")];
    await Promise.all(
      answers.map((answer) => {
        const messages = history[answer.dataset.side];
        messages.push({ role: "user", content: asked });
        return ask(answer, messages, running.signal);
      }),
    );
    running = null;
    busy(false);
    section.scrollIntoView({ block: "nearest" });
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const asked = question.value.trim();
    if (!asked || running) return;
    question.value = "";
    exchange(asked).then(() => question.focus());
  });

  question.addEventListener("keydown", (event) => {
    /* While a Chinese or Japanese word is being composed, Enter chooses it. */
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    } else if (event.key === "Escape" && running) running.abort();
  });

  stop.addEventListener("click", () => running && running.abort());

  clear.addEventListener("click", () => {
    history = { base: [], tuned: [] };
    for (const section of exchanges.querySelectorAll(".exchange")) section.remove();
    invitation.hidden = false;
    busy(false);
    question.focus();
  });

  exchanges.addEventListener("click", (event) => {
    const chip = event.target.closest("[data-asks]");
    if (!chip || running) return;
    question.value = chip.textContent;
    form.requestSubmit();
  });

  temperature.addEventListener("input", () => {
    shown.textContent = Number(temperature.value).toFixed(1);
  });

  /* Another model is another conversation. */
  document.getElementById("checkpoint").addEventListener("change", (event) => {
    const url = new URL(location.href);
    url.searchParams.set("checkpoint", event.target.value);
    location.assign(url);
  });
})();
