/* The palette: Ctrl or Cmd and K, write, arrows, Enter. The list is one of options, and the focus stays
   in the field, so that writing goes on. */
(() => {
  "use strict";

  const dialog = document.getElementById("find");
  const field = document.getElementById("find-text");
  const list = document.getElementById("find-list");
  const said = document.getElementById("find-said");
  if (!dialog) return;
  const words = dialog.dataset;
  const pause = 120;
  let timer = 0;
  let asking = null;
  let options = [];
  let at = -1;

  const sprite = document.querySelector(".rail .icon use").getAttribute("href").split("#")[0];

  const element = (name, className, text) => {
    const made = document.createElement(name);
    made.className = className;
    if (text) made.textContent = text;
    return made;
  };

  const icon = (name) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", "icon");
    svg.setAttribute("aria-hidden", "true");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    use.setAttribute("href", `${sprite}#${name}`);
    svg.append(use);
    return svg;
  };

  const choose = (next) => {
    if (options[at]) options[at].setAttribute("aria-selected", "false");
    at = options.length ? (next + options.length) % options.length : -1;
    if (at < 0) {
      field.removeAttribute("aria-activedescendant");
      return;
    }
    options[at].setAttribute("aria-selected", "true");
    options[at].scrollIntoView({ block: "nearest" });
    field.setAttribute("aria-activedescendant", options[at].id);
  };

  const say = (text) => {
    options = [];
    choose(0);
    list.replaceChildren(element("p", "find-none soft", text));
    said.textContent = text;
  };

  const show = (groups) => {
    list.replaceChildren();
    options = [];
    at = -1;
    for (const [number, group] of groups.entries()) {
      const box = element("div", "find-group");
      box.setAttribute("role", "group");
      const heading = element("p", "find-label", group.label);
      heading.id = `find-group-${number}`;
      box.setAttribute("aria-labelledby", heading.id);
      box.append(heading);
      for (const hit of group.hits) {
        const option = element("a", "find-hit");
        option.id = `find-hit-${options.length}`;
        option.href = hit.url;
        option.tabIndex = -1;
        option.setAttribute("role", "option");
        option.setAttribute("aria-selected", "false");
        option.append(icon(hit.icon), element("span", "find-name", hit.label));
        if (hit.detail) option.append(element("span", "find-detail", hit.detail));
        box.append(option);
        options.push(option);
      }
      list.append(box);
    }
    if (!options.length) say(words.none);
    else {
      said.textContent = words.count.replace("%s", String(options.length));
      choose(0);
    }
  };

  const look = async () => {
    if (asking) asking.abort();
    asking = new AbortController();
    try {
      const answer = await fetch(`${words.url}?q=${encodeURIComponent(field.value)}`, {
        headers: { Accept: "application/json" },
        signal: asking.signal,
      });
      if (answer.ok) show((await answer.json()).groups);
      else say(words.broken);
    } catch (error) {
      if (error.name !== "AbortError") say(words.broken);
    }
  };

  const open = () => {
    if (dialog.open) {
      dialog.close();
      return;
    }
    const other = document.querySelector("dialog[open]");
    if (other) other.close();
    field.value = "";
    dialog.showModal();
    field.focus();
    look();
  };

  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(look, pause);
  });

  field.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "ArrowDown") choose(at + 1);
    else if (event.key === "ArrowUp") choose(at - 1);
    else if (event.key === "Enter" && options[at]) options[at].click();
    else if (event.key !== "Enter") return;
    event.preventDefault();
  });

  list.addEventListener("pointermove", (event) => {
    const option = event.target.closest("[role=option]");
    if (option && options[at] !== option) choose(options.indexOf(option));
  });

  document.addEventListener("keydown", (event) => {
    const chord = (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey;
    if (chord && event.key.toLowerCase() === "k") {
      event.preventDefault();
      open();
    }
  });

  document.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
    if (event.target instanceof Element && event.target.closest("[data-opens-find]")) {
      event.preventDefault();
      open();
    }
  });
})();
