/* Answers on their way to the server. Each is written into this browser's storage before the next
   item is drawn, and leaves it when the server has it: a closed tab loses nothing. The server knows
   an answer by its client_id, so that sending one twice stores it once. */
(() => {
  "use strict";

  const MOST_AT_ONCE = 50;
  /* What a browser lets outlive its page. */
  const MOST_KEPT_ALIVE = 60000;

  class Outbox {
    constructor(prefix, url, token, hears) {
      this.prefix = prefix;
      this.url = url;
      this.token = token;
      this.hears = hears;
      this.fallback = new Map();
      this.last = 0;
      this.sending = false;
      this.failures = 0;
      this.timer = 0;
    }

    put(event) {
      /* In the order of the keys: never the same moment twice. */
      this.last = Math.max(Date.now() * 1000, this.last + 1);
      const key = `${this.prefix}${String(this.last).padStart(17, "0")}:${event.client_id}`;
      try {
        localStorage.setItem(key, JSON.stringify(event));
      } catch {
        this.fallback.set(key, event);
      }
      this.tell();
      this.send();
    }

    entries() {
      const found = new Map(this.fallback);
      try {
        for (let at = 0; at < localStorage.length; at += 1) {
          const key = localStorage.key(at);
          if (key.startsWith(this.prefix)) found.set(key, JSON.parse(localStorage.getItem(key)));
        }
      } catch {
        /* Storage is closed to us: what this page holds is all there is. */
      }
      return [...found.entries()].sort(([one], [other]) => (one < other ? -1 : 1));
    }

    drop(key) {
      this.fallback.delete(key);
      try {
        localStorage.removeItem(key);
      } catch {
        /* Nothing was kept there. */
      }
    }

    tell() {
      this.hears.unsent(this.entries().length);
    }

    async send() {
      if (this.sending) return;
      clearTimeout(this.timer);
      this.sending = true;
      try {
        let batch = this.entries().slice(0, MOST_AT_ONCE);
        while (batch.length) {
          await this.sendBatch(batch);
          this.failures = 0;
          this.hears.reached();
          batch = this.entries().slice(0, MOST_AT_ONCE);
        }
      } catch (fault) {
        this.failures += 1;
        this.hears.failed(fault.name === "SignedOut");
        this.timer = setTimeout(() => this.send(), Math.min(30000, 500 * 2 ** this.failures));
      } finally {
        this.sending = false;
        this.tell();
      }
    }

    async sendBatch(batch) {
      const body = new URLSearchParams();
      body.set("csrfmiddlewaretoken", this.token);
      body.set("events", JSON.stringify(batch.map(([, event]) => event)));
      const keepalive = body.toString().length < MOST_KEPT_ALIVE;
      const { results } = await Outbox.fetchJson(this.url, body, keepalive);
      results.forEach((result, at) => {
        this.drop(batch[at][0]);
        if (result.status === "refused") this.hears.refused(result, batch[at][1]);
      });
    }

    /* JSON of our own, or an error: a page to sign in is no answer. */
    static async fetchJson(url, body, keepalive = false) {
      const response = await fetch(url, { method: "POST", body, keepalive });
      const kind = response.headers.get("Content-Type") || "";
      if (response.redirected || response.status === 403) {
        const fault = new Error(String(response.status));
        fault.name = "SignedOut";
        throw fault;
      }
      if (!response.ok || !kind.includes("json")) throw new Error(String(response.status));
      return response.json();
    }
  }

  window.ParleyOutbox = Outbox;
})();
