/* A file is sent with a bar. Without script the form sends it just the same. */
(() => {
  "use strict";

  const form = document.querySelector("form[data-upload]");
  if (!form) return;
  const input = form.querySelector("input[type=file]");
  const drop = form.querySelector("[data-drop]");
  const chosen = form.querySelector("[data-chosen]");
  const progress = form.querySelector("[data-progress]");
  const bar = progress.querySelector("progress");
  const words = progress.querySelector("[role=status]");
  const button = form.querySelector("button[type=submit]");
  const sizes = new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 1 });
  const size = (bytes) => `${sizes.format(bytes / 1048576)} MB`;

  const say = () => {
    const file = input.files[0];
    if (file) chosen.textContent = `${file.name} · ${size(file.size)}`;
  };
  input.addEventListener("change", say);
  say();

  for (const name of ["dragenter", "dragover"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.add("is-over");
    });
  }
  for (const name of ["dragleave", "drop"]) {
    drop.addEventListener(name, () => drop.classList.remove("is-over"));
  }
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    if (!event.dataTransfer.files.length) return;
    input.files = event.dataTransfer.files;
    say();
    button.focus();
  });

  const end = (sentence) => {
    button.disabled = false;
    bar.hidden = true;
    words.textContent = sentence;
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (button.disabled) return;
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.responseType = "json";
    request.setRequestHeader("Accept", "application/json");
    request.upload.addEventListener("progress", (told) => {
      if (!told.lengthComputable) return;
      bar.value = told.loaded / told.total;
      words.textContent = `${form.dataset.sending} ${size(told.loaded)} / ${size(told.total)}`;
    });
    request.addEventListener("load", () => {
      const answer = request.response;
      if (answer && answer.next) location.assign(answer.next);
      else end((answer && answer.fault) || form.dataset.failed);
    });
    request.addEventListener("error", () => end(form.dataset.failed));
    request.addEventListener("abort", () => end(form.dataset.failed));
    button.disabled = true;
    bar.hidden = false;
    bar.value = 0;
    progress.hidden = false;
    request.send(new FormData(form));
  });
})();
