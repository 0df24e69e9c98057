/**
 * OpenAI's official Node client, unmodified, against Parley's /v1: every call once.
 *
 * Reads one JSON object from standard input:
 *   {baseURL, keys: {acme, globex, looks}, model, training, validation}   the last two are paths
 * and prints one JSON line per call: {"name", "ok", "detail"}. Goes on after a wrong answer, and ends
 * with the first call that has none.
 */
import { createReadStream, readFileSync } from "node:fs";
import { deepStrictEqual as same, ok as holds, strictEqual as equal } from "node:assert";
import { basename } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import OpenAI, { toFile } from "openai";

const given = JSON.parse(await text(process.stdin));
const client = holding(given.keys.acme);
const { jobs } = client.fineTuning;
const HELLO = [{ role: "user", content: "在吗？" }];
const PATIENCE = 400_000;

function holding(apiKey) {
  return new OpenAI({ baseURL: given.baseURL, apiKey, maxRetries: 0 });
}

function tell(name, detail = "") {
  console.log(JSON.stringify({ name, ok: detail === "", detail: detail.slice(0, 600) }));
}

/** `act` must answer; what `isRight` then throws is noted, and the next call is made all the same. */
async function call(name, act, isRight = () => {}) {
  let answer;
  try {
    answer = await act();
  } catch (error) {
    tell(name, `${error.constructor.name}: ${error.message}`);
    process.exit(1);
  }
  try {
    await isRight(answer);
    tell(name);
  } catch (error) {
    tell(name, error.message);
  }
  return answer;
}

/** A call that must be refused, with this error of the client's, this code and this parameter. */
async function refusal(name, act, kind, code, param) {
  try {
    await act();
    tell(name, "was not refused");
  } catch (error) {
    const told = [error.constructor.name, error.code, error.param ?? null];
    const wanted = [kind.name, code, param];
    const right = error.message && JSON.stringify(told) === JSON.stringify(wanted);
    tell(name, right ? "" : `${JSON.stringify(told)} is not ${JSON.stringify(wanted)}`);
  }
}

async function all(pages) {
  const found = [];
  for await (const one of pages) found.push(one);
  return found;
}

async function until(look, wanted) {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const found = await look();
    if (wanted(found)) return found;
    if (Date.now() > deadline) throw new Error(`not in time: ${JSON.stringify(found)}`);
    await pause(500);
  }
}

/** Those of `ids` that are in `found`, in its order: others of this company may have left theirs. */
function among(found, ids) {
  return found.map(({ id }) => id).filter((id) => ids.includes(id));
}

async function files() {
  const rows = readFileSync(given.training);
  const training = await call(
    "files.create with a stream",
    () => client.files.create({ file: createReadStream(given.training), purpose: "fine-tune" }),
    (file) => {
      same([file.object, file.bytes, file.status], ["file", rows.length, "processed"]);
      equal(file.filename, basename(given.training));
    },
  );
  const validation = await call(
    "files.create with bytes and expires_after",
    async () =>
      client.files.create({
        file: await toFile(readFileSync(given.validation), "验证.jsonl"),
        purpose: "fine-tune",
        expires_after: { anchor: "created_at", seconds: 86_400 },
      }),
    (file) => {
      equal(file.filename, "验证.jsonl");
      holds(Math.abs(file.expires_at - file.created_at - 86_400) <= 1);
    },
  );
  const ids = [training.id, validation.id];
  await call(
    "files.list, page by page",
    () => all(client.files.list({ limit: 1, purpose: "fine-tune", order: "asc" })),
    (found) => same(among(found, ids), ids),
  );
  await call(
    "files.list, newest first",
    () => client.files.list({ limit: 2 }),
    (page) => same(among(page.data, ids), ids.toReversed()),
  );
  await call(
    "files.retrieve",
    () => client.files.retrieve(training.id),
    (file) => same(file, training),
  );
  await call(
    "files.waitForProcessing",
    () => client.files.waitForProcessing(training.id, { pollInterval: 100 }),
    (file) => equal(file.id, training.id),
  );
  await call(
    "files.content",
    async () => Buffer.from(await (await client.files.content(training.id)).arrayBuffer()),
    (read) => holds(read.equals(rows)),
  );
  return ids;
}

async function job([training, validation]) {
  await call(
    "post /fine_tuning/jobs/estimate",
    () =>
      client.post("/fine_tuning/jobs/estimate", {
        body: { model: given.model, training_file: training, validation_file: validation },
      }),
    (told) => holds(told.allowed_to_proceed && told.estimated_train_token_count > 1_000),
  );
  const wanted = {
    model: given.model,
    training_file: training,
    validation_file: validation,
    suffix: "node",
    seed: 11,
    metadata: { client: "Node 客户端" },
    method: {
      type: "supervised",
      supervised: { hyperparameters: { n_epochs: 2, batch_size: 4 } },
    },
  };
  const made = await call(
    "fineTuning.jobs.create with an idempotency key",
    () => jobs.create(wanted, { headers: { "Idempotency-Key": `node-${training}` } }),
    (job) => {
      same([job.object, job.status, job.seed], ["fine_tuning.job", "validating_files", 11]);
      same(job.metadata, { client: "Node 客户端" });
    },
  );
  await call(
    "fineTuning.jobs.create, the same once more",
    () => jobs.create(wanted, { headers: { "Idempotency-Key": `node-${training}` } }),
    (again) => equal(again.id, made.id),
  );
  const other = await call("fineTuning.jobs.create with hyperparameters", () =>
    jobs.create({
      model: given.model,
      training_file: training,
      hyperparameters: { n_epochs: "auto" },
    }),
  );
  await until(() => jobs.retrieve(other.id), ({ status }) => /queued|running/.test(status));
  await call(
    "fineTuning.jobs.pause",
    () => jobs.pause(other.id),
    ({ status }) => holds(/paused|running/.test(status)),
  );
  await until(() => jobs.retrieve(other.id), ({ status }) => status === "paused");
  await call(
    "fineTuning.jobs.resume",
    () => jobs.resume(other.id),
    ({ status }) => equal(status, "queued"),
  );
  await call(
    "fineTuning.jobs.cancel",
    () => jobs.cancel(other.id),
    ({ status }) => holds(/cancelled|running/.test(status)),
  );
  await call(
    "fineTuning.jobs.list, page by page",
    () => all(jobs.list({ limit: 1 })),
    (found) => same(among(found, [made.id, other.id]), [other.id, made.id]),
  );
  await call(
    "fineTuning.jobs.list by metadata",
    () => all(jobs.list({ metadata: { client: "Node 客户端" } })),
    (found) => same(among(found, [made.id, other.id]), [made.id]),
  );
  await until(() => jobs.retrieve(made.id), ({ status }) => /succeeded|failed/.test(status));
  const done = await call(
    "fineTuning.jobs.retrieve",
    () => jobs.retrieve(made.id),
    (job) => {
      same([job.error, job.status, job.hyperparameters.n_epochs], [null, "succeeded", 2]);
      holds(job.fine_tuned_model.startsWith(`ft:${given.model}:acme:node:`));
      holds(job.trained_tokens > 0 && job.finished_at >= job.created_at);
    },
  );
  await call(
    "fineTuning.jobs.listEvents, page by page",
    () => all(jobs.listEvents(made.id, { limit: 7 })),
    (events) => {
      equal(new Set(events.map(({ id }) => id)).size, events.length);
      holds(events.length > 7);
      same([...new Set(events.map(({ type }) => type))].sort(), ["message", "metrics"]);
    },
  );
  const kept = await call(
    "fineTuning.jobs.checkpoints.list",
    () => all(jobs.checkpoints.list(made.id)),
    (kept) => {
      holds(kept.length > 0);
      holds(kept.every((one) => one.fine_tuning_job_id === made.id));
      holds(kept.every((one) => one.metrics.full_valid_loss > 0));
    },
  );
  const checkpoint = kept.at(-1).fine_tuned_model_checkpoint;
  await call(
    "chat.completions.create with a checkpoint",
    () => client.chat.completions.create({ model: checkpoint, messages: HELLO, max_tokens: 4 }),
    (answer) => equal(answer.model, checkpoint),
  );
  await call(
    "files.content of the results",
    async () => (await client.files.content(done.result_files[0])).text(),
    (table) => holds(table.startsWith("step,train_loss,")),
  );
  return done;
}

async function models(tuned) {
  await call(
    "models.list",
    () => all(client.models.list()),
    (found) => equal(among(found, [given.model, tuned]).length, 2),
  );
  await call(
    "models.retrieve",
    () => client.models.retrieve(tuned),
    (model) => same([model.id, model.object, model.owned_by], [tuned, "model", "acme"]),
  );
}

async function chat(model) {
  const { completions } = client.chat;
  const asked = { model, messages: HELLO, max_tokens: 12, temperature: 0 };
  const whole = await call(
    "chat.completions.create",
    () => completions.create(asked),
    ({ object, model: named, usage }) => {
      same([object, named], ["chat.completion", model]);
      equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
    },
  );
  const content = whole.choices[0].message.content;
  const joined = (pieces) => pieces.map(({ choices }) => choices[0]?.delta.content ?? "").join("");
  await call(
    "chat.completions.create, streamed with stream_options",
    async () =>
      all(
        await completions.create({
          ...asked,
          stream: true,
          stream_options: { include_usage: true },
        }),
      ),
    (pieces) => {
      equal(joined(pieces), content);
      same(pieces.at(-1).choices, []);
      same(pieces.at(-1).usage, whole.usage);
    },
  );
  await call(
    "chat.completions.create, streamed without figures",
    async () => all(await completions.create({ ...asked, stream: true })),
    (pieces) => {
      equal(joined(pieces), content);
      holds(pieces.every(({ usage }) => !usage));
    },
  );
  await call(
    "chat.completions.create, a stream that is left",
    async () => {
      const stream = await completions.create({ ...asked, max_tokens: 100, stream: true });
      for await (const piece of stream) return piece;
    },
    (piece) => equal(piece.object, "chat.completion.chunk"),
  );
  await call(
    "chat.completions.stream",
    async () => {
      let heard = "";
      const stream = completions.stream(asked).on("content", (more) => (heard += more));
      await stream.done();
      return heard;
    },
    (heard) => equal(heard, content),
  );
  await call(
    "chat.completions.create().withResponse",
    () => completions.create(asked).withResponse(),
    ({ response, request_id: request }) =>
      holds(request && response.headers.get("x-ratelimit-remaining-tokens")),
  );
  await call(
    "six answers at once",
    () => Promise.all(Array.from({ length: 6 }, () => completions.create(asked))),
    (answers) =>
      same([...new Set(answers.map(({ choices }) => choices[0].message.content))], [content]),
  );
}

async function completions() {
  const asked = { model: given.model, prompt: "We open at", max_tokens: 6, temperature: 0 };
  const whole = await call(
    "completions.create",
    () => client.completions.create(asked),
    ({ object }) => equal(object, "text_completion"),
  );
  await call(
    "completions.create, streamed",
    async () => all(await client.completions.create({ ...asked, stream: true })),
    (pieces) =>
      equal(pieces.map(({ choices }) => choices[0]?.text ?? "").join(""), whole.choices[0].text),
  );
}

async function refusals(done) {
  const create = (more) =>
    client.chat.completions.create({ model: given.model, messages: HELLO, ...more });
  const { BadRequestError, NotFoundError } = OpenAI;
  const stranger = holding(given.keys.globex);
  await refusal("a wrong key", () => holding("sk-wrong").models.list(),
    OpenAI.AuthenticationError, "invalid_api_key", null);
  await refusal("a key without the scope",
    () => holding(given.keys.looks).fineTuning.jobs.cancel(done.id),
    OpenAI.PermissionDeniedError, "missing_scope", null);
  await refusal("another company's model", () => stranger.models.retrieve(done.fine_tuned_model),
    NotFoundError, "model_not_found", "model");
  await refusal("another company's job", () => stranger.fineTuning.jobs.retrieve(done.id),
    NotFoundError, "not_found", "fine_tuning_job_id");
  await refusal("another company's file", () => stranger.files.retrieve(done.training_file),
    NotFoundError, "not_found", "file_id");
  await refusal("tools",
    () => create({ tools: [{ type: "function", function: { name: "f", parameters: {} } }] }),
    BadRequestError, "unsupported_parameter", "tools");
  await refusal("tools, streamed",
    () => create({ stream: true, tools: [{ type: "function", function: { name: "f" } }] }),
    BadRequestError, "unsupported_parameter", "tools");
  await refusal("a field that nobody knows", () => create({ wärme: 1 }),
    BadRequestError, "unknown_parameter", "wärme");
  await refusal("a temperature of 9000", () => create({ temperature: 9000 }),
    BadRequestError, "invalid_value", "temperature");
  await refusal("more tokens than fit", () => create({ max_tokens: 100_000 }),
    BadRequestError, "context_length_exceeded", "max_tokens");
  await refusal("integrations",
    () =>
      jobs.create({
        model: given.model,
        training_file: done.training_file,
        integrations: [{ type: "wandb", wandb: { project: "p" } }],
      }),
    BadRequestError, "unsupported_parameter", "integrations");
  await refusal("a purpose that is not here",
    async () =>
      client.files.create({ file: await toFile(Buffer.from("{}"), "a"), purpose: "batch" }),
    BadRequestError, "invalid_value", "purpose");
  await refusal("a call that is not here",
    () => client.embeddings.create({ model: given.model, input: "x" }),
    NotFoundError, "unknown_url", null);
}

async function deletions(done, ids) {
  for (const id of ids) {
    await call("files.delete", () => client.files.delete(id), ({ deleted }) => holds(deleted));
  }
  await refusal("a file that was deleted", () => client.files.retrieve(ids[0]),
    OpenAI.NotFoundError, "not_found", "file_id");
  await call(
    "models.delete",
    () => client.models.delete(done.fine_tuned_model),
    ({ deleted }) => holds(deleted),
  );
}

const ids = await files();
const done = await job(ids);
await models(done.fine_tuned_model);
await chat(done.fine_tuned_model);
await completions();
await refusals(done);
await deletions(done, ids);
