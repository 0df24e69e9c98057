/* What is offered while an agent writes: a canned reply behind a slash, a
   colleague behind an @ in a note. The focus stays in the box;
   arrows choose, Enter or Tab takes, Escape closes. */
(() => {
  "use strict";

  const box = document.getElementById("reply");
  const list = document.getElementById("offered");
  if (!box || !list) return;
  const trouble = document.getElementById("trouble");
  const pause = 120;
  let options = [];
  let at = -1;
  let sign = null;
  let timer = 0;
  let asked = 0;

  /* Behind which signs something is offered, and where it is asked for. A Chinese keyboard writes
     the slash as an enumeration comma. */
  const signs = [
    { pattern: /(?:^|\s)([/、][\p{L}\p{N}_-]*)$/u, address: list.dataset.replies },
    {
      pattern: /(?:^|[^A-Za-z0-9])([@＠][\p{L}\p{N}._-]*)$/u,
      address: list.dataset.members,
      inNotes: true,
    },
  ];

  const before = () => {
    if (box.selectionStart !== box.selectionEnd) return null;
    const text = box.value.slice(0, box.selectionStart);
    for (const one of signs) {
      if (one.inNotes && box.form.elements.private.value !== "on") continue;
      const found = one.pattern.exec(text);
      if (found) return { address: one.address, typed: found[1], from: text.length - found[1].length };
    }
    return null;
  };

  const close = () => {
    clearTimeout(timer);
    asked += 1;
    sign = null;
    options = [];
    at = -1;
    list.hidden = true;
    list.replaceChildren();
    box.removeAttribute("aria-activedescendant");
  };

  const choose = (next) => {
    options[at]?.setAttribute("aria-selected", "false");
    at = (next + options.length) % options.length;
    options[at].setAttribute("aria-selected", "true");
    options[at].scrollIntoView({ block: "nearest" });
    box.setAttribute("aria-activedescendant", options[at].id);
  };

  const look = () => {
    const found = before();
    if (!found) {
      close();
      return;
    }
    const mine = (asked += 1);
    const request = new XMLHttpRequest();
    request.open("GET", `${found.address}?q=${encodeURIComponent(found.typed.slice(1))}`);
    request.responseType = "document";
    request.addEventListener("load", () => {
      if (mine !== asked || request.status !== 200) return;
      const offered = [...request.response.querySelectorAll("[role=option]")];
      if (!offered.length) {
        close();
        return;
      }
      sign = found;
      options = offered;
      at = -1;
      list.replaceChildren(...offered);
      list.hidden = false;
      choose(0);
    });
    request.send();
  };

  const take = () => {
    const { text, missing } = options[at].dataset;
    box.setRangeText(text, sign.from, box.selectionStart, "end");
    close();
    trouble.textContent = missing ? list.dataset.missing.replace("%s", missing) : "";
    box.dispatchEvent(new Event("input", { bubbles: true }));
    box.focus();
  };

  box.addEventListener("input", () => {
    clearTimeout(timer);
    if (before()) timer = setTimeout(look, pause);
    else if (!list.hidden) close();
  });

  /* Before the desk's own keys: Enter takes what is chosen, and sends nothing. */
  box.addEventListener(
    "keydown",
    (event) => {
      if (list.hidden || event.isComposing) return;
      if (event.key === "ArrowDown") choose(at + 1);
      else if (event.key === "ArrowUp") choose(at - 1);
      else if (event.key === "Escape") close();
      else if (["Enter", "Tab"].includes(event.key) && !event.ctrlKey && !event.metaKey) take();
      else return;
      event.preventDefault();
      event.stopImmediatePropagation();
    },
    true,
  );
  box.addEventListener("blur", () => setTimeout(close, 200));
  list.addEventListener("pointerdown", (event) => {
    const option = event.target.closest("[role=option]");
    event.preventDefault();
    if (!option) return;
    at = options.indexOf(option);
    take();
  });
})();
