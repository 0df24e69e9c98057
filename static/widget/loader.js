/* The widget's foot in a customer's page: a button, and a frame that is made when it is first wanted.

     <script async src="https://parley.example/static/widget/loader.js" data-key="w_..."></script>

   data-key (required), data-language, data-label, data-accent, data-radius, data-position ("left").
   window.parley: open(key?), close(key?), identify(token, key?), signOut(key?), destroy(key?).
   Calls made before this file has come wait in window.parleyQueue = [["identify", "..."], ...].

   Nothing is asked of the network before the widget is opened. The page's own storage keeps the
   refresh token; the access token is handed to the frame, which keeps it in memory. */
(() => {
  "use strict";

  const script = document.currentScript;
  if (!script || !script.dataset.key) return;
  const base = new URL(script.src).origin;
  const widgets = (window.parley && window.parley.widgets) || new Map();
  const key = script.dataset.key;
  if (widgets.has(key)) return;

  /* Some browsers throw where a page may store nothing. */
  const memory = new Map();
  const storage = {
    get: (name) => {
      try {
        return localStorage.getItem(name);
      } catch {
        return memory.get(name) || null;
      }
    },
    set: (name, value) => {
      memory.set(name, value);
      try {
        if (value === null) localStorage.removeItem(name);
        else localStorage.setItem(name, value);
      } catch {
        /* kept for as long as the page lives */
      }
    },
  };

  const plain = (value, pattern, otherwise) => (pattern.test(value || "") ? value : otherwise);

  /* White or nearly black, whichever stands out more on the accent. */
  const inkOn = (accent) => {
    const hex = accent.length === 4 ? accent.replace(/[0-9a-f]/gi, "$&$&") : accent;
    const [r, g, b] = [1, 3, 5].map((at) => (parseInt(hex.slice(at, at + 2), 16) / 255) ** 2.2);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.18 ? "#111" : "#fff";
  };

  class Widget {
    constructor(options) {
      this.key = options.key;
      this.language = options.language || document.documentElement.lang || navigator.language || "en";
      this.label = options.label || "Chat";
      this.place = `parley:${this.key}`;
      this.identity = null;
      this.signedOut = false;
      this.frame = null;
      this.opened = false;
      this.hear = (event) => this.heard(event);
      this.host = document.createElement("div");
      this.root = this.host.attachShadow({ mode: "open" });
      this.root.adoptedStyleSheets = [this.sheet(options)];
      this.button = document.createElement("button");
      this.button.type = "button";
      this.button.setAttribute("aria-expanded", "false");
      this.button.setAttribute("aria-label", this.label);
      this.button.innerText = "";
      this.button.append(this.picture());
      this.button.addEventListener("click", () => (this.opened ? this.close() : this.open()));
      this.root.append(this.button);
      window.addEventListener("message", this.hear);
      document.body.append(this.host);
    }

    /* Constructed style sheets and no attribute: a strict policy of the page has nothing to refuse. */
    sheet(options) {
      const accent = plain(options.accent, /^#([0-9a-f]{3}|[0-9a-f]{6})$/i, "#2c50d0");
      const radius = plain(options.radius, /^\d{1,2}px$/, "12px");
      const side = options.position === "left" ? "left" : "right";
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(`
        :host { all: initial; position: fixed; ${side}: 16px; bottom: 16px; z-index: 2147483000;
          font-family: system-ui, sans-serif; }
        button { width: 52px; height: 52px; border: 0; border-radius: 26px; background: ${accent};
          color: ${inkOn(accent)}; cursor: pointer; display: grid; place-items: center; padding: 0; }
        button:focus-visible { outline: 3px solid ${accent}; outline-offset: 3px; }
        svg { width: 24px; height: 24px; fill: none; stroke: currentColor; stroke-width: 1.8;
          stroke-linecap: round; stroke-linejoin: round; }
        iframe { position: fixed; ${side}: 16px; bottom: 80px; width: 384px;
          height: min(640px, calc(100dvh - 100px)); border: 1px solid #8884;
          border-radius: ${radius}; background: Canvas; color-scheme: light dark; }
        iframe[hidden] { display: none; }
        @media (max-width: 480px) {
          iframe { inset: 0; width: 100%; height: 100%; border: 0; border-radius: 0; }
          :host([data-open]) button { display: none; }
        }
        @media print { :host { display: none; } }
      `);
      return sheet;
    }

    picture() {
      const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      svg.setAttribute("viewBox", "0 0 24 24");
      svg.setAttribute("aria-hidden", "true");
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      path.setAttribute("d", "M4 5h16v11H9l-5 4z");
      svg.append(path);
      return svg;
    }

    open() {
      if (!this.host.isConnected) return;
      if (!this.frame) this.make();
      this.frame.hidden = false;
      this.opened = true;
      this.host.setAttribute("data-open", "");
      this.button.setAttribute("aria-expanded", "true");
      this.tell({ type: "opened" });
    }

    close() {
      if (!this.frame) return;
      this.frame.hidden = true;
      this.opened = false;
      this.host.removeAttribute("data-open");
      this.button.setAttribute("aria-expanded", "false");
      this.button.focus();
    }

    make() {
      const frame = document.createElement("iframe");
      frame.title = this.label;
      frame.setAttribute(
        "sandbox",
        "allow-scripts allow-forms allow-same-origin allow-popups allow-downloads",
      );
      frame.referrerPolicy = "origin";
      frame.allow = "";
      const address = new URL("/widget/panel/", base);
      address.searchParams.set("key", this.key);
      address.searchParams.set("language", this.language);
      frame.src = address.href;
      this.root.append(frame);
      this.frame = frame;
    }

    /* Only our own frame is listened to, and only it is spoken to. */
    heard(event) {
      if (!this.frame || event.origin !== base || event.source !== this.frame.contentWindow) return;
      const { type } = event.data || {};
      if (type === "ready") this.ready = true;
      if (type === "ready" || type === "refresh") this.admit();
      else if (type === "close") this.close();
    }

    tell(message) {
      // Before it is ready the frame is an empty page of the one around it.
      if (this.frame && this.ready) this.frame.contentWindow.postMessage(message, base);
    }

    async admit() {
      if (this.admitting) return;
      this.admitting = true;
      try {
        let answer = await this.ask(storage.get(this.place));
        // A token that has ended, or was taken back: begin anew, once.
        if (answer.status === 401) answer = await this.ask(null);
        const told = await answer.json();
        if (!answer.ok) {
          this.tell({ type: "refused", code: told.code || "", detail: told.detail || "" });
          return;
        }
        storage.set(this.place, told.refresh);
        this.signedOut = false;
        const { refresh, ...session } = told;
        this.tell({ type: "session", ...session, page: location.origin + location.pathname });
      } catch {
        this.tell({ type: "unreachable" });
      } finally {
        this.admitting = false;
      }
    }

    /* As text/plain the request is one that no browser asks about beforehand. */
    ask(refresh) {
      const asked = { key: this.key };
      if (refresh) asked.refresh = refresh;
      if (this.identity) asked.identity = this.identity;
      if (this.signedOut) asked.signed_out = true;
      return fetch(`${base}/widget/v1/session/`, {
        method: "POST",
        body: JSON.stringify(asked),
        headers: { "Content-Type": "text/plain" },
        credentials: "omit",
        cache: "no-store",
      });
    }

    identify(token) {
      this.identity = token;
      if (this.frame) this.admit();
    }

    signOut() {
      this.identity = null;
      this.signedOut = true;
      const refresh = storage.get(this.place);
      storage.set(this.place, null);
      if (refresh) {
        fetch(`${base}/widget/v1/leave/`, {
          method: "POST",
          body: JSON.stringify({ key: this.key, refresh }),
          headers: { "Content-Type": "text/plain" },
          credentials: "omit",
          keepalive: true,
        }).catch(() => {});
      }
      if (this.frame) {
        this.close();
        this.frame.remove();
        this.frame = null;
        this.ready = false;
      }
    }

    destroy() {
      window.removeEventListener("message", this.hear);
      this.host.remove();
      widgets.delete(this.key);
    }
  }

  const each = (act) => (given, named) => {
    const wanted = named || (widgets.has(given) ? given : null);
    for (const [name, widget] of [...widgets]) {
      if (!wanted || wanted === name) act(widget, given);
    }
  };
  window.parley = window.parley || {
    widgets,
    open: each((widget) => widget.open()),
    close: each((widget) => widget.close()),
    identify: each((widget, token) => widget.identify(token)),
    signOut: each((widget) => widget.signOut()),
    destroy: each((widget) => widget.destroy()),
  };

  const begin = () => {
    if (widgets.has(key)) return;
    widgets.set(key, new Widget(script.dataset));
    const waiting = window.parleyQueue || [];
    window.parleyQueue = [];
    for (const [name, ...given] of waiting) {
      if (typeof window.parley[name] === "function") window.parley[name](...given);
    }
  };
  if (document.body) begin();
  else document.addEventListener("DOMContentLoaded", begin, { once: true });
})();
