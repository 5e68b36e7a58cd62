// Streams an answer from /generate into the page, one at a time; closing the connection stops it.

const element = (id) => document.getElementById(id);
const [form, prompt, answer, budget] = ["form", "prompt", "answer", "budget"].map(element);
let running = null;

async function showModel() {
  const { status, model } = await fetch("healthz").then((response) => response.json());
  if (status === "starting") return setTimeout(showModel, 1000);
  budget.max = model.max_total_tokens;
  element("most").max = model.max_total_tokens - 1;
  element("model").textContent = `${model.name} ${model.version}, ${model.engine}, ${model.dtype}`;
}

async function* events(response) {
  let rest = "";
  for await (const part of response.body.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + part).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const data = JSON.parse(block.slice(block.indexOf("data: ") + 6));
      if (block.startsWith("event: error")) throw new Error(data.detail);
      yield data;
    }
  }
}

function request() {
  const body = {
    prompt: prompt.value, max_new_tokens: element("most").valueAsNumber,
    temperature: element("temperature").valueAsNumber, stream: true,
  };
  const headers = { "Content-Type": "application/json" };
  return fetch("generate", { method: "POST", headers, body: JSON.stringify(body), signal: running.signal });
}

function fill({ prompt_tokens: read, completion_tokens: written, total_tokens: total }) {
  budget.value = total;
  element("counts").textContent = `${total} of ${budget.max} tokens: ${read} read, ${written} written`;
}

function change(from, to) {
  const focused = document.activeElement === from; // a disabled button loses the focus
  to.disabled = false;
  if (focused) to.focus();
  from.disabled = true;
}

function begin() {
  running = new AbortController();
  const original = document.createElement("span");
  original.className = "original";
  original.textContent = prompt.value;
  answer.replaceChildren(original);
  answer.setAttribute("aria-busy", "true"); // a screen reader waits for the whole answer
  element("problem").textContent = "";
  element("status").textContent = "Reading";
  change(element("go"), element("stop"));
}

function end() {
  running = null;
  answer.setAttribute("aria-busy", "false");
  change(element("stop"), element("go"));
}

async function run() {
  begin();
  const begun = performance.now();
  let first = 0;
  let latest = 0;
  let usage = { completion_tokens: 0 };
  const speed = () => {
    const rate = (usage.completion_tokens - 1) / ((latest - first) / 1000);
    const measured = latest > first ? `, ${rate.toFixed(1)} tokens/s` : "";
    return `${usage.completion_tokens} tokens${measured}, the first after ${((first - begun) / 1000).toFixed(2)} s`;
  };
  try {
    const response = await request();
    if (!response.ok) throw new Error((await response.json()).detail);
    for await (const event of events(response)) {
      latest = event.text ? performance.now() : latest; // the last event has no text and comes a little later
      first ||= latest;
      usage = event.usage;
      fill(usage);
      if (event.text) answer.append(event.text);
      const reason = { stop: "Ended", length: "Cut at its length" }[event.finish_reason] ?? "Writing";
      element("status").textContent = `${reason}: ${speed()}`;
    }
  } catch (error) {
    if (error.name === "AbortError") element("status").textContent = `Stopped: ${first ? speed() : "nothing came yet"}`;
    else {
      element("status").textContent = "";
      element("problem").textContent = error.message;
    }
  }
  end();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!running) run();
});
prompt.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") running?.abort();
});
element("stop").addEventListener("click", () => running?.abort());
showModel();
