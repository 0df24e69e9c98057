/* Elements made of text, never of markup. */

export const make = (tag, name, text) => {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text) element.textContent = text;
  return element;
};

let numbered = 0;

/* A field with its label, in that order: [box, input]. */
export const field = (label, tag, settings = {}) => {
  const box = make("p", "field");
  const input = make(tag);
  numbered += 1;
  input.id = `field-${numbered}`;
  Object.assign(input, settings);
  const name = make("label", "", label);
  name.htmlFor = input.id;
  box.append(name, input);
  return [box, input];
};

export const button = (text, act) => {
  const element = make("button", "", text);
  element.type = act ? "button" : "submit";
  if (act) element.addEventListener("click", act);
  return element;
};

const LINK = /https?:\/\/[^\s<>"'）)，。]+/g;

/* Text, always; a link only where an address stands in it. */
export const fill = (element, text) => {
  element.replaceChildren();
  let at = 0;
  for (const match of text.matchAll(LINK)) {
    element.append(text.slice(at, match.index));
    const link = make("a", "", match[0]);
    link.href = match[0];
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
    element.append(link);
    at = match.index + match[0].length;
  }
  element.append(text.slice(at));
};
