/* A file is sent as bytes and fetched as bytes: no address of it is ever shown or kept. */

import { button } from "./dom.js";

export const MOST_BYTES = 10 * 1024 * 1024;

export const sendFile = (post, conversation, file) =>
  post(null, null, {
    route: "files",
    body: file,
    headers: {
      "Content-Type": "application/octet-stream",
      "X-Parley-File": encodeURIComponent(
        JSON.stringify({ conversation, client_id: crypto.randomUUID(), name: file.name }),
      ),
    },
  });

/* A button that downloads the file; `trouble` is told why not. */
export const fileButton = (post, words, file, trouble) =>
  button(words.sent_file.replace("%s", file.name), async () => {
    const home = document.body.dataset.uploads;
    const answer = await post("file", { file: file.id }, { home }).catch(() => null);
    if (!answer || !answer.ok) {
      const fault = answer ? await answer.json().catch(() => ({})) : {};
      trouble(fault.detail || words.offline);
      return;
    }
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await answer.blob());
    link.download = file.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });
