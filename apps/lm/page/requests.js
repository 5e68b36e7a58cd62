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

/** Send a request; yield what arrives. Throw an Error with the service's own words. */
export async function* ask({ path, body }, signal) {
  const streamed = { ...body, stream: true };
  if (path.startsWith("v1/")) streamed.stream_options = { include_usage: true };
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(streamed), signal });
  if (!response.ok) {
    const answer = await response.json();
    throw new Error(answer.error?.message ?? answer.detail);
  }
  for await (const event of events(response)) yield path === "generate" ? generated(event) : chunk(event);
}

const generated = (event) => ({ text: event.text, usage: event.usage, reason: event.finish_reason });

const chunk = ({ choices: [choice], usage }) => (
  { text: choice?.delta?.content ?? "", usage, reason: choice?.finish_reason }
);

async function* events(response) {
  let rest = "";
  for await (const part of response.body.pipeThrough(new TextDecoderStream())) {
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
