/* The conversation in its frame. The access token lives in this page's memory and nowhere else;
   what was said lives in the database, and is heard again from the number where one stopped. */
import { askAddress, askBefore, askRating } from "./asks.js";
import { readable } from "./colours.js";
import { fill, make } from "./dom.js";
import { MOST_BYTES, fileButton, sendFile } from "./files.js";

{
  const words = JSON.parse(document.body.dataset.words);
  const allowed = JSON.parse(document.body.dataset.origins);
  const log = document.getElementById("log");
  const form = document.getElementById("say");
  const box = document.getElementById("text");
  const send = document.getElementById("send");
  const notice = document.getElementById("notice");
  const person = document.getElementById("person");
  const asks = document.getElementById("asks");

  const state = {
    host: null, // the origin of the page around us, once it has proved to be one that is allowed
    access: "",
    inbox: null,
    page: "",
    conversation: null,
    after: 0,
    offsets: {},
    bubbles: new Map(),
    owner: "bot",
    verified: false,
    reachable: false, // whether we know where to answer who has left
    answers: null, // to the questions before the chat
    rated: 0,
    waits: [], // who waits for a new token
  };

  const tell = (message) => {
    // Before it has spoken we do not know who is around us: every origin that may be is told, each
    // message readable by that one alone.
    for (const origin of state.host ? [state.host] : allowed) parent.postMessage(message, origin);
  };

  window.addEventListener("message", (event) => {
    if (event.source !== parent || !allowed.includes(event.origin)) return;
    const message = event.data || {};
    if (message.type === "session") {
      state.host = event.origin;
      state.access = message.access;
      state.inbox = message.inbox;
      state.verified = message.verified;
      state.page = message.page;
      for (const go of state.waits.splice(0)) go();
      if (!state.begun) begin();
    } else if (message.type === "refused") {
      say(message.detail || words.refused, "bad");
    } else if (message.type === "unreachable") {
      say(words.unreachable, "bad");
      setTimeout(() => tell({ type: "refresh" }), 5000);
    } else if (message.type === "opened" && state.begun) {
      if (!form.hidden) box.focus();
    }
  });

  const renewed = () =>
    new Promise((go) => {
      state.waits.push(go);
      if (state.waits.length === 1) tell({ type: "refresh" });
    });

  /* One request; a token that has ended is renewed once. */
  const post = async (named, asked, { home = "", route = named, headers = {}, ...options } = {}) => {
    for (let again = 0; ; again += 1) {
      const answer = await fetch(`${home}/widget/v1/${route}/`, {
        method: "POST",
        body: JSON.stringify(asked),
        headers: {
          "Content-Type": "application/json",
          Authorization: `Bearer ${state.access}`,
          "Accept-Language": document.documentElement.lang,
          ...headers,
        },
        credentials: "omit",
        ...options,
      });
      if (answer.status !== 401 || again) return answer;
      await renewed();
    }
  };

  const say = (text, kind) => {
    notice.textContent = text || "";
    notice.dataset.kind = kind || "";
    notice.hidden = !text;
  };

  // --- What is shown -----------------------------------------------------------------------------

  const bubble = (id, role) => {
    let found = state.bubbles.get(id);
    if (!found) {
      const item = make("div", `turn ${role}`);
      const who = make("p", "who");
      const text = make("p", "text");
      item.append(who, text);
      log.append(item);
      found = { item, who, text, role };
      state.bubbles.set(id, found);
    }
    return found;
  };

  const down = () => {
    log.scrollTop = log.scrollHeight;
  };

  const show = (message) => {
    // Our own words stand there already, under the id that we gave them.
    const own = message.client_id && state.bubbles.get(message.client_id);
    const found = own || bubble(message.id, message.role);
    state.bubbles.set(message.id, found);
    found.item.classList.remove("waits", "failed");
    fill(found.text, message.text);
    if (message.file) {
      const trouble = (why) => say(why, "bad");
      found.text.replaceChildren(fileButton(post, words, message.file, trouble));
    }
    if (message.role === "assistant") dress(found, message);
    if (message.role === "agent") found.who.textContent = message.name || words.agent;
    down();
  };

  /* A generated answer says that it is one, where it comes from, and takes a thumb. */
  const dress = (found, message) => {
    found.who.textContent = message.outcome === "generated" ? words.generated : words.bot;
    if (found.item.querySelector(".foot")) return;
    const foot = make("div", "foot");
    const cited = message.citations || [];
    if (cited.length) {
      const details = make("details", "sources");
      details.append(make("summary", "", `${words.sources} (${cited.length})`));
      for (const one of cited) {
        const source = make("div", "source");
        source.append(make("strong", "", one.title), make("p", "", one.text));
        for (const place of one.sources || []) {
          const line = make("p", "place");
          fill(line, String(place));
          source.append(line);
        }
        details.append(source);
      }
      foot.append(details);
    }
    const thumbs = make("div", "thumbs");
    for (const helpful of [true, false]) {
      const button = make("button", helpful ? "thumb up" : "thumb down");
      button.append(hand());
      button.type = "button";
      button.setAttribute("aria-label", helpful ? words.helpful : words.not_helpful);
      button.setAttribute("aria-pressed", "false");
      button.addEventListener("click", () => judge(message.id, helpful, thumbs, button));
      thumbs.append(button);
    }
    foot.append(thumbs);
    found.item.append(foot);
  };

  const hand = () => {
    const space = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(space, "svg");
    svg.setAttribute("viewBox", "0 0 16 16");
    svg.setAttribute("aria-hidden", "true");
    const path = document.createElementNS(space, "path");
    path.setAttribute("d", "M5 7l3-5c1 0 2 .8 1.6 2L9 6.500h4c.8 0 1.300.7 1.100 1.500l-1 4.500c-.1.600-.6 1-1.200 1H5m0-6.500v6.500H2.500V7z");
    svg.append(path);
    return svg;
  };

  const judge = async (id, helpful, thumbs, button) => {
    for (const other of thumbs.querySelectorAll(".thumb")) {
      other.setAttribute("aria-pressed", String(other === button));
    }
    thumbs.querySelector(".reasons")?.remove();
    await post("feedback", { message: id, helpful }).catch(() => {});
    if (helpful) return;
    const reasons = make("div", "reasons");
    reasons.append(make("span", "", words.why));
    for (const [reason, label] of Object.entries(words.reasons)) {
      const choice = make("button", "reason", label);
      choice.type = "button";
      choice.addEventListener("click", async () => {
        await post("feedback", { message: id, helpful, reason }).catch(() => {});
        reasons.replaceChildren(make("span", "", words.thanks));
      });
      reasons.append(choice);
    }
    thumbs.append(reasons);
  };

  const line = (text) => {
    log.append(make("p", "line", text));
    down();
  };

  // --- What is heard ------------------------------------------------------------------------------

  const handle = {
    "message.created": (data) => {
      if (!data.message) return;
      if (data.message.role === "assistant") writing(null);
      show(data.message);
    },
    "answer.waiting": () => writing(""),
    "answer.ended": () => writing(null),
    "answer.delta": (data) => {
      // In characters, as the server counts: an emoji is two units of a string here.
      state.offsets[data.answer] = [data.attempt, data.offset + Array.from(data.text).length];
      if (data.reset || data.offset === 0) state.written = "";
      state.written = (state.written || "") + data.text;
      writing(state.written);
    },
    handoff: (data) => {
      writing(null);
      state.owner = "people";
      person.hidden = true;
      line(data.data && data.data.reason === "missing_knowledge" ? words.handoff_unknown : words.handoff);
      away(data.data && data.data.back);
    },
    csat: (data) => {
      state.rated = data.data.score;
      if (state.closed) askRating(asks, words, state.rated, rate);
    },
    status: (data) => {
      if (data.data.owner) state.owner = data.data.owner;
      person.hidden = state.owner === "people";
      state.closed = data.data.state === "resolved";
      state.rated = 0;
      if (state.closed) {
        line(words.resolved);
        askRating(asks, words, 0, rate);
      } else asks.replaceChildren();
    },
  };

  /* Why a request was refused, in words; nothing where it was not. */
  const refused = async (route, asked) => {
    try {
      const answer = await post(route, asked);
      if (answer.ok) return "";
      const fault = await answer.json().catch(() => ({}));
      return fault.detail || words.not_sent;
    } catch {
      return words.offline;
    }
  };

  const rate = (score, comment) =>
    refused("rating", { conversation: state.conversation, score, comment });

  /* Nobody is there until `back`: say so, and ask where to answer. */
  const away = (back) => {
    if (!back || new Date(back) <= new Date()) return;
    const when = new Intl.DateTimeFormat(document.documentElement.lang, {
      weekday: "long",
      day: "numeric",
      month: "long",
      hour: "2-digit",
      minute: "2-digit",
    }).format(new Date(back));
    const text = words.back.replace("%s", when);
    if (state.reachable) {
      line(text);
      return;
    }
    const id = crypto.randomUUID();
    askAddress(asks, words, text, async (email, said) => {
      const asked = { conversation: state.conversation, email, text: said, client_id: id };
      const why = await refused("address", asked);
      if (why) return why;
      state.reachable = true;
      line(words.reached);
      return "";
    });
  };

  const writing = (text) => {
    let item = document.getElementById("writing");
    if (text === null) {
      item?.remove();
      state.written = "";
      return;
    }
    if (!item) {
      item = make("div", "turn assistant waits");
      item.id = "writing";
      // Read out when it is whole, not piece by piece.
      item.setAttribute("aria-hidden", "true");
      item.append(make("p", "who", words.bot), make("p", "text"));
    }
    log.append(item);
    item.querySelector(".text").textContent = text || "…";
    down();
  };

  const listen = async () => {
    if (state.listening) return;
    state.listening = true;
    let pause = 500;
    for (;;) {
      try {
        const asked = { conversation: state.conversation, after: state.after, offsets: state.offsets };
        state.stop = new AbortController();
        const answer = await post("events", asked, { signal: state.stop.signal });
        if (!answer.ok) throw new Error(String(answer.status));
        say("");
        pause = 500;
        await read(answer.body.getReader());
      } catch {
        if (!navigator.onLine) say(words.offline, "bad");
      }
      await new Promise((go) => {
        state.wake = go;
        setTimeout(go, pause * (0.75 + Math.random() / 2));
      });
      pause = Math.min(pause * 2, 30000);
    }
  };

  const read = async (reader) => {
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += decoder.decode(value, { stream: true });
      const frames = rest.split("\n\n");
      rest = frames.pop();
      for (const frame of frames) hear(frame);
    }
  };

  const hear = (frame) => {
    let name = "message";
    let data = "";
    for (const one of frame.split("\n")) {
      if (one.startsWith("event: ")) name = one.slice(7);
      else if (one.startsWith("data: ")) data += one.slice(6);
    }
    if (!data) return;
    const told = JSON.parse(data);
    if (told.seq) {
      if (told.seq <= state.after) return;
      state.after = told.seq;
    }
    handle[name]?.(told);
  };

  // Back from sleep or from a tunnel: look at once.
  for (const name of ["online", "focus", "visibilitychange"]) {
    window.addEventListener(name, () => state.wake?.());
  }

  // --- What is said -------------------------------------------------------------------------------

  const unsent = [];

  const speak = (text) => {
    const id = crypto.randomUUID();
    const found = bubble(id, "user");
    found.item.classList.add("waits");
    fill(found.text, text);
    down();
    unsent.push({ id, text, found });
    flush();
  };

  /* In order, each under its own id, again and again until it has arrived: a repeat is the same
     message. */
  const flush = async () => {
    if (state.sending) return;
    state.sending = true;
    let pause = 1000;
    while (unsent.length) {
      const { id, text, found } = unsent[0];
      const asked = { client_id: id, text, page: state.page, language: document.documentElement.lang };
      if (state.conversation) asked.conversation = state.conversation;
      else if (state.answers) asked.answers = state.answers;
      try {
        const answer = await post("messages", asked);
        if (answer.ok) {
          const told = await answer.json();
          const begun = !state.conversation;
          state.conversation = told.conversation;
          if (begun && !state.inbox.bot) away(state.inbox.back);
          found.item.classList.remove("waits");
          unsent.shift();
          pause = 1000;
          listen();
          continue;
        }
        if (answer.status < 500 && answer.status !== 429 && answer.status !== 401) {
          const fault = await answer.json().catch(() => ({}));
          found.item.classList.add("failed");
          say(fault.detail || words.not_sent, "bad");
          unsent.shift();
          continue;
        }
      } catch {
        say(words.offline, "bad");
      }
      await new Promise((go) => setTimeout(go, pause));
      pause = Math.min(pause * 2, 30000);
    }
    state.sending = false;
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = box.value.trim();
    if (!text) return;
    box.value = "";
    grow();
    speak(text);
    box.focus();
  });

  const picked = document.getElementById("file");
  document.getElementById("attach").addEventListener("click", () => picked.click());
  picked.addEventListener("change", async () => {
    const [file] = picked.files;
    picked.value = "";
    if (!file) return;
    if (!state.conversation) say(words.write_first, "bad");
    else if (file.size > MOST_BYTES) say(words.file_too_large, "bad");
    else {
      const answer = await sendFile(post, state.conversation, file).catch(() => null);
      const fault = !answer ? {} : answer.ok ? null : await answer.json().catch(() => ({}));
      say(fault ? fault.detail || words.offline : "", "bad");
    }
    box.focus();
  });

  const grow = () => {
    box.rows = Math.min(5, Math.max(1, box.value.split("\n").length));
    send.disabled = !box.value.trim();
  };
  box.addEventListener("input", grow);
  box.addEventListener("keydown", (event) => {
    // While a word of Chinese is being composed, Enter belongs to the input method.
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });

  person.addEventListener("click", async () => {
    if (form.hidden) {
      asks.querySelector("input, select")?.focus();
      return;
    }
    if (!state.conversation) {
      speak(words.person);
      return;
    }
    await post("person", { conversation: state.conversation }).catch(() => say(words.offline, "bad"));
  });

  document.getElementById("close").addEventListener("click", () => tell({ type: "close" }));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") tell({ type: "close" });
  });

  const begin = async () => {
    state.begun = true;
    const { theme = {}, name, greeting } = state.inbox;
    document.getElementById("name").textContent = name;
    if (theme.mode === "light" || theme.mode === "dark") {
      document.documentElement.dataset.mode = theme.mode;
    }
    if (/^#([0-9a-f]{3}|[0-9a-f]{6})$/i.test(theme.accent || "")) {
      const { backgroundColor, color } = getComputedStyle(document.body);
      const accent = readable(theme.accent, backgroundColor, color);
      document.documentElement.style.setProperty("--accent", accent);
    }
    if (greeting) {
      const found = bubble("greeting", "assistant");
      found.who.textContent = words.bot;
      fill(found.text, greeting);
    }
    const answer = await post("conversations", {}).catch(() => null);
    const { items = [], reachable = false } = answer && answer.ok ? await answer.json() : {};
    state.reachable = reachable;
    const known = ["name", "email"];
    const questions = state.inbox.pre_chat.filter(
      (one) => !(state.verified && known.includes(one.kind)),
    );
    if (items.length) {
      state.conversation = items[0].id;
      listen();
    } else if (questions.length) {
      askBefore(asks, words, questions, (answers) => {
        state.answers = answers;
        ready();
      })?.focus();
      return;
    }
    ready();
  };

  const ready = () => {
    form.hidden = false;
    grow();
    box.focus();
  };

  tell({ type: "ready" });
}
