/* What the panel asks for in a form of its own, above the box: the questions before the chat, where to
   answer while nobody is there, and how it was. One at a time stands in `place`. */

import { button, field, make } from "./dom.js";

const form = (name, title, act) => {
  const element = make("form", `ask ${name}`);
  const set = make("fieldset");
  set.append(make("legend", "", title));
  element.append(set);
  element.addEventListener("submit", (event) => {
    event.preventDefault();
    act();
  });
  return [element, set];
};

/* The inbox's questions; `then` is given the answers by label. */
export const askBefore = (place, words, questions, then) => {
  const inputs = [];
  const [element, set] = form("before", words.before, () => {
    const answers = inputs.map(([question, input]) => [question.label, input.value.trim()]);
    place.replaceChildren();
    then(Object.fromEntries(answers.filter(([, answer]) => answer)));
  });
  for (const question of questions) {
    const label = question.required ? question.label : `${question.label} ${words.optional}`;
    const settings = { required: question.required };
    if (question.kind === "email") Object.assign(settings, { type: "email", autocomplete: "email" });
    if (question.kind === "name") settings.autocomplete = "name";
    const isChoice = question.kind === "choice";
    if (!isChoice) settings.maxLength = question.kind === "name" ? 200 : 500;
    const [box, input] = field(label, isChoice ? "select" : "input", settings);
    if (isChoice) {
      for (const one of ["", ...question.choices]) {
        const option = make("option", "", one || words.choose);
        option.value = one;
        input.append(option);
      }
    }
    set.append(box);
    inputs.push([question, input]);
  }
  set.append(button(words.begin));
  place.replaceChildren(element);
  return inputs[0] && inputs[0][1];
};

/* An address, and a message if there is one. `send` says why it was refused, or nothing. */
export const askAddress = (place, words, when, send) => {
  const [element, set] = form("away", words.reach, async () => {
    const why = await send(address.value.trim(), message.value.trim());
    if (why) trouble.textContent = why;
    else place.replaceChildren();
  });
  const [addressBox, address] = field(words.email, "input", {
    type: "email",
    required: true,
    maxLength: 254,
    autocomplete: "email",
  });
  const [messageBox, message] = field(words.message, "textarea", { rows: 2, maxLength: 8000 });
  const trouble = make("p", "trouble");
  trouble.setAttribute("role", "alert");
  set.append(make("p", "", when), addressBox, messageBox, trouble, button(words.send));
  place.replaceChildren(element);
};

/* One to five as radio buttons: arrows go through them as everywhere. */
export const askRating = (place, words, given, send) => {
  if (given) {
    const done = make("div", "ask rated");
    const said = make("p", "", words.rated.replace("%s", `${given}/5`));
    const change = button(words.change, () => {
      askRating(place, words, 0, send);
      place.querySelector("input").focus();
    });
    done.append(said, change);
    place.replaceChildren(done);
    return;
  }
  const [element, set] = form("rating", words.rate, async () => {
    const chosen = element.querySelector("input:checked");
    const why = await send(Number(chosen.value), comment.value.trim());
    if (why) trouble.textContent = why;
  });
  const scores = make("div", "scores");
  for (const [place, label] of words.scores.entries()) {
    const choice = make("label");
    const radio = make("input");
    Object.assign(radio, { type: "radio", name: "score", value: place + 1, required: true });
    radio.setAttribute("aria-label", label);
    choice.title = label;
    choice.append(radio, String(place + 1));
    scores.append(choice);
  }
  const [commentBox, comment] = field(words.comment, "textarea", { rows: 1, maxLength: 2000 });
  const trouble = make("p", "trouble");
  trouble.setAttribute("role", "alert");
  set.append(scores, commentBox, trouble, button(words.send));
  place.replaceChildren(element);
};
