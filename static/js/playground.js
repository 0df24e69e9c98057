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

  const answerTemplate = document.getElementById("answer");
  const sides = document.getElementById("sides");
  const pickers = [...form.querySelectorAll("select[data-column]")];

  /* Each column keeps its own conversation: what another said is not put in its mouth. */
  let history = new Map();
  let running = null;

  /* The models of the moment, by column; an empty choice leaves its column out. */
  const columns = () =>
    pickers
      .filter((picker) => picker.value)
      .map((picker) => ({
        number: picker.dataset.column,
        key: picker.value,
        name: picker.selectedOptions[0].dataset.name,
        side: picker.selectedOptions[0].dataset.side,
      }));

  const swatch = (side) => {
    const sign = document.createElement("span");
    sign.className = `swatch ${side}`;
    return sign;
  };

  const showSides = () => {
    sides.replaceChildren(
      ...columns().map((column) => {
        const head = document.createElement("span");
        head.append(swatch(column.side), column.name);
        return head;
      }),
    );
    sides.dataset.count = String(columns().length);
  };

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

  const request = (key, messages, signal) => {
    const body = new FormData(form);
    body.delete("column");
    body.set("model", key);
    body.set("messages", JSON.stringify(messages));
    return fetch(form.action, { method: "POST", body, signal });
  };

  const fill = (text, value) => text.replace("%s", value);

  const ask = async (answer, key, messages, signal) => {
    const text = answer.querySelector(".text");
    const foot = answer.querySelector(".foot");
    const began = performance.now();
    let written = "";
    let ended = false;
    const notes = [];
    answer.classList.add("is-writing");
    try {
      const response = await request(key, messages, signal);
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
      answer.querySelector(".copy").hidden = !written || !navigator.clipboard;
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
    const asking = columns();
    const row = section.querySelector(".answers");
    row.dataset.count = String(asking.length);
    await Promise.all(
      asking.map((column) => {
        const answer = answerTemplate.content.cloneNode(true).querySelector(".answer");
        answer.dataset.column = column.number;
        answer.dataset.side = column.side;
        answer.querySelector(".swatch").classList.add(column.side);
        answer.querySelector(".answer-name").textContent = column.name;
        row.append(answer);
        if (!history.has(column.number)) history.set(column.number, []);
        const messages = history.get(column.number);
        messages.push({ role: "user", content: asked });
        return ask(answer, column.key, messages, running.signal);
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
    history = new Map();
    for (const section of exchanges.querySelectorAll(".exchange")) section.remove();
    invitation.hidden = false;
    busy(false);
    question.focus();
  });

  exchanges.addEventListener("click", async (event) => {
    const copy = event.target.closest(".copy");
    if (copy) {
      const answer = copy.closest(".answer");
      await navigator.clipboard.writeText(answer.querySelector(".text").textContent);
      const foot = answer.querySelector(".foot");
      const said = foot.textContent;
      foot.textContent = words.copied;
      setTimeout(() => {
        foot.textContent = said;
      }, 1500);
      return;
    }
    const chip = event.target.closest("[data-asks]");
    if (!chip || running) return;
    question.value = chip.textContent;
    form.requestSubmit();
  });

  temperature.addEventListener("input", () => {
    shown.textContent = Number(temperature.value).toFixed(1);
  });

  /* Another model is another conversation, in its column alone; the address names what is chosen. */
  for (const picker of pickers) {
    picker.addEventListener("change", () => {
      history.delete(picker.dataset.column);
      const url = new URL(location.href);
      url.search = "";
      for (const column of columns()) url.searchParams.append("model", column.key);
      window.history.replaceState(null, "", url);
      showSides();
    });
  }

  showSides();
})();
