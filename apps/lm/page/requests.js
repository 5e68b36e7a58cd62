// The two ways to ask the service, as one: each yields {text, usage, reason} while the answer is written.

export const DEFAULT_TOKENS = 64;

/** Return {path, body} of a conversation; `messages` end with the user's. */
export function chat(model, messages, settings) {
  const { most, ...sampling } = settings;
  const options = { ...sampling, ...(most ? { max_tokens: most } : {}) };
  return { path: "v1/chat/completions", body: { model, messages, ...options } };
}

/** Return {path, body} of a text that is to be continued. */
export function continuation(prompt, settings) {
  const { most, ...sampling } = settings;
  return { path: "generate", body: { prompt, max_new_tokens: most || DEFAULT_TOKENS, ...sampling } };
}

export function asCommand({ path, body }) {
  const quoted = JSON.stringify(body).replaceAll("'", "'\\''");
  return `curl -s ${new URL(path, location.href)} -H 'content-type: application/json' -d '${quoted}'`;
}

/** Send a request; yield what arrives. Throw an Error with the service's own words, if it has any. */
export async function* ask({ path, body }, signal) {
  const streamed = { ...body, stream: true };
  if (path.startsWith("v1/")) streamed.stream_options = { include_usage: true, continuous_usage_stats: true };
  const headers = { "Content-Type": "application/json" };
  const sent = fetch(path, { method: "POST", headers, body: JSON.stringify(streamed), signal });
  const response = await sent.catch(unless("The service cannot be reached. Try again."));
  if (!response.ok) throw new Error(await refusal(response));
  let complete = false;
  for await (const event of events(response)) {
    const piece = path === "generate" ? generated(event) : chunk(event);
    complete ||= Boolean(piece.reason);
    yield piece;
  }
  if (!complete) throw new Error(LOST);
}

const LOST = "The connection was lost before the answer ended. Try again.";

/** Return a function that throws an Error with `message`, unless the user has stopped the answer. */
const unless = (message) => (error) => {
  throw error.name === "AbortError" ? error : new Error(message);
};

async function refusal(response) {
  const answer = await response.json().catch(() => null); // a proxy may answer without JSON
  return answer?.error?.message ?? answer?.detail ?? `The service answered with status ${response.status}. Try again.`;
}

const generated = (event) => ({ text: event.text, usage: event.usage, reason: event.stop_reason ?? event.finish_reason });

const chunk = ({ choices: [choice], usage }) => (
  { text: choice?.delta?.content ?? "", usage, reason: choice?.stop_reason ?? choice?.finish_reason }
);

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const read = () => reader.read().catch(unless(LOST));
  let rest = "";
  for (let { done, value: part } = await read(); !done; { done, value: part } = await read()) {
    const blocks = (rest + part).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const text = block.slice(block.indexOf("data: ") + 6);
      if (text === "[DONE]") return;
      const data = JSON.parse(text);
      if (data.error || block.startsWith("event: error")) throw new Error(data.error?.message ?? data.detail);
      yield data;
    }
  }
}
