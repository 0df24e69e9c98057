/* A suggested reply: asked for without leaving the page, shown as it comes, put into the box. The desk
   says what it hears of it as an event on the place where it stands. */
(() => {
  "use strict";

  const place = document.getElementById("suggestion");
  const say = document.getElementById("say");
  if (!place || !say) return;
  const box = say.elements.text;
  const trouble = document.getElementById("trouble");

  const look = () => {
    const request = new XMLHttpRequest();
    request.open("GET", place.dataset.live);
    request.responseType = "document";
    request.addEventListener("load", () => {
      if (request.status === 200) place.replaceChildren(...request.response.body.children);
    });
    request.send();
  };

  place.addEventListener("desk:heard", (event) => {
    const here = place.firstElementChild?.dataset.mark || "";
    if (event.detail !== here) look();
  });

  const post = async (form) => {
    try {
      const answer = await fetch(form.action, {
        method: "POST",
        body: new URLSearchParams(new FormData(form)),
        headers: { Accept: "application/json" },
      });
      trouble.textContent = answer.ok ? "" : (await answer.json()).detail;
    } catch {
      trouble.textContent = document.getElementById("desk").dataset.unreachable;
    }
    look();
  };

  document.addEventListener("submit", (event) => {
    if (!["ask-suggestion", "reject-suggestion"].includes(event.target.id)) return;
    event.preventDefault();
    post(event.target);
    if (event.target.id === "reject-suggestion") box.focus();
  });

  place.addEventListener("click", (event) => {
    const take = event.target.closest("#take-suggestion");
    if (!take || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const text = document.getElementById("suggested").textContent;
    box.value = box.value.trim() ? `${box.value.trimEnd()}\n${text}` : text;
    say.elements.suggestion.value = take.dataset.suggestion;
    say.elements.private[0].checked = true;
    say.elements.private[0].dispatchEvent(new Event("change"));
    box.dispatchEvent(new Event("input", { bubbles: true }));
    box.focus();
  });
})();
