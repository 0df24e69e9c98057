/* The code of an invitation stands behind the # of its link, which no server is sent. It is taken out of
   the address at once, so that no history keeps it, and posted. */
(() => {
  "use strict";

  const code = location.hash.slice(1);
  if (!code) return;
  history.replaceState(null, "", location.pathname);
  const form = document.querySelector("form[data-takes-code]");
  if (form) {
    form.elements.code.value = code;
    form.requestSubmit();
  } else {
    /* Another invitation is shown; the new link is the one that is meant. */
    const other = document.createElement("form");
    const token = document.querySelector("input[name=csrfmiddlewaretoken]");
    other.method = "post";
    for (const [name, value] of [["code", code], ["csrfmiddlewaretoken", token ? token.value : ""]]) {
      const field = document.createElement("input");
      field.type = "hidden";
      field.name = name;
      field.value = value;
      other.append(field);
    }
    document.body.append(other);
    other.submit();
  }
})();
