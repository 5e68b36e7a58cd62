// Chats with the model, or lets it continue a text. One answer at a time; closing its connection stops it.

import { markdown } from "./markdown.js";
import { ask, chat, continuation, asCommand, DEFAULT_TOKENS } from "./requests.js";

const element = (id) => document.getElementById(id);
const EXAMPLES = {
  chat: ["What is the capital of France?", "Write a haiku about rain.", "Explain gravity to a child.", "Give me three ideas for dinner."],
  text: ["Once upon a time there was a little girl who", "The capital of France is", "1, 2, 3, 4, 5, 6,"],
};
const WORDS = {
  chat: { ask: "Your message", how: "Enter sends, Shift and Enter starts a line, Escape stops.", go: "Send", log: "Conversation", most: "all left" },
  text: { ask: "Your text", how: "Ctrl and Enter continue it, Escape stops.", go: "Continue", log: "Continuation", most: DEFAULT_TOKENS },
};
const REASONS = { stop: "Ended", length: "Cut at its length", deadline: "Cut at the service's time limit" };
let name = "";
let messages = [];
let running = null;
let last = null;
let asked = null; // the message of the last answer, and the conversation before it

const mode = () => (element("chat").checked ? "chat" : "text");

async function showModel() {
  const health = await fetch("healthz").then((response) => response.json()).catch(() => null);
  if (!health?.model?.name) {
    element("model").textContent = health ? "The model is being loaded" : "The service cannot be reached";
    return setTimeout(showModel, 1000);
  }
  const { model } = health;
  name = model.name;
  element("problem").textContent = health.detail ?? "";
  REASONS.deadline = `Cut at the service's time limit of ${model.request_timeout_seconds} s`;
  element("budget").max = model.max_total_tokens;
  element("most").max = model.max_total_tokens - 1;
  element("model").textContent = `${model.name} ${model.version}`;
  element("facts").textContent = `Engine ${model.engine}, ${model.dtype}, ${model.max_total_tokens} tokens for conversation and answer together.`;
  const weights = model.parameters ? ` of ${Math.round(model.parameters / 1e6).toLocaleString("en")} million weights` : "";
  element("caution").textContent = `A language model${weights} makes things up. Check what it says.`;
  if (!model.chat) {
    element("chat").disabled = true;
    element("text").checked = true;
  }
  choose();
}

function choose() {
  const words = WORDS[mode()];
  element("asks").textContent = words.ask;
  element("how").textContent = words.how;
  element("go").textContent = words.go;
  element("turns").setAttribute("aria-label", words.log);
  element("instruction").hidden = mode() === "text";
  element("most").placeholder = words.most;
  element("examples").replaceChildren(...EXAMPLES[mode()].map((text) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    button.addEventListener("click", () => {
      element("prompt").value = text;
      element("prompt").focus();
      showCommand();
    });
    return button;
  }));
  clear();
}

function clear() {
  running?.abort();
  messages = [];
  last = null;
  asked = null;
  element("again").disabled = true;
  element("turns").replaceChildren();
  element("examples").hidden = false;
  for (const id of ["problem", "status"]) element(id).textContent = "";
  element("budget").value = 0;
  element("counts").textContent = "nothing used yet";
  showCommand();
}

function settings() {
  const [most, seed] = [element("most").valueAsNumber, element("seed").valueAsNumber];
  const temperature = element("temperature").valueAsNumber;
  if (!temperature) return { temperature, most }; // nothing is drawn, so there is nothing to draw from
  return { temperature, top_p: element("nucleus").valueAsNumber, ...(Number.isNaN(seed) ? {} : { seed }), most };
}

function conversation(text) {
  const system = element("system").value.trim();
  return [...(system ? [{ role: "system", content: system }] : []), ...messages, { role: "user", content: text }];
}

function request(text) {
  return mode() === "chat" ? chat(name, conversation(text), settings()) : continuation(text, settings());
}

function showCommand() {
  const text = element("prompt").value;
  element("curl").textContent = asCommand(!text && last ? last : request(text || "Hello"));
  element("copied").textContent = "";
}

function turn(role, title, text) {
  const article = document.createElement("article");
  article.className = `turn ${role}`;
  const heading = document.createElement("h2");
  heading.textContent = title;
  const content = document.createElement("div");
  content.textContent = text;
  article.append(heading, content);
  element("turns").append(article);
  article.scrollIntoView({ block: "nearest" });
  return content;
}

function fill({ prompt_tokens: read, completion_tokens: written, total_tokens: total }) {
  element("budget").value = total;
  element("counts").textContent = `${total} of ${element("budget").max} tokens: ${read} read, ${written} written`;
}

function change(from, to) {
  const focused = document.activeElement === from; // a disabled button loses the focus
  to.disabled = false;
  if (focused) to.focus();
  from.disabled = true;
}

const tokens = (count) => (count === 1 ? "1 token" : `${count} tokens`);

/** The number of an answer's tokens, and when the first and the latest came, in words. */
class Timing {
  constructor() { this.begun = performance.now(); this.first = null; this.count = 0; }

  add({ usage }) {
    if (!(usage?.completion_tokens > this.count)) return;
    this.count = usage.completion_tokens;
    this.latest = { count: this.count, seconds: (performance.now() - this.begun) / 1000 };
    this.first ??= this.latest;
  }

  toString() {
    if (this.first === null) return tokens(0);
    const seconds = this.latest.seconds - this.first.seconds;
    const rate = seconds > 0 ? `, ${((this.count - this.first.count) / seconds).toFixed(1)} tokens/s` : "";
    return `${tokens(this.count)}${rate}, the first after ${this.first.seconds.toFixed(2)} s`;
  }
}

function begin(text) {
  running = new AbortController();
  element("problem").textContent = "";
  element("status").textContent = "Reading";
  element("examples").hidden = true;
  change(element("go"), element("stop"));
  element("again").disabled = true;
  element("turns").setAttribute("aria-busy", "true"); // a screen reader waits for the whole answer
  if (mode() === "chat") {
    turn("user", "You", text);
    return turn("assistant", name, "");
  }
  element("turns").replaceChildren();
  const content = turn("assistant continued", name, "");
  const original = document.createElement("span");
  original.className = "original";
  original.textContent = text;
  content.append(original);
  return content;
}

function end() {
  running = null;
  element("turns").setAttribute("aria-busy", "false");
  change(element("stop"), element("go"));
  element("again").disabled = !asked;
}

async function run(text) {
  const chatting = mode() === "chat";
  const [content, timing] = [begin(text), new Timing()];
  last = request(text);
  if (chatting && element("prompt").value === text) element("prompt").value = ""; // otherwise it is the next message
  showCommand();
  let [answer, reason] = ["", "Writing"];
  const show = (piece) => {
    answer += piece;
    if (chatting) content.replaceChildren(...markdown(answer));
    else content.append(piece);
  };
  try {
    for await (const event of ask(last, running.signal)) {
      const following = atEnd();
      timing.add(event);
      if (event.text) show(event.text);
      if (event.usage) fill(event.usage);
      reason = REASONS[event.reason] ?? reason;
      element("status").textContent = `${reason}: ${timing}`;
      if (following) element("filled").scrollIntoView({ block: "end" });
    }
  } catch (error) {
    const stopped = error.name === "AbortError";
    element("status").textContent = stopped ? `Stopped: ${timing.first === null ? "nothing came yet" : timing}` : "";
    element("problem").textContent = stopped ? "" : error.message;
    if (!answer) undo(content, text);
  }
  if (content.isConnected) {
    asked = { text, before: messages };
    if (!answer) empty(content);
    else if (chatting) messages = [...messages, { role: "user", content: text }, { role: "assistant", content: answer }];
  }
  end();
}

/** Ask the last message again; its answer is drawn anew. */
function repeat() {
  const { text, before } = asked;
  asked = null;
  messages = before;
  if (mode() === "chat") for (const article of [...document.querySelectorAll(".turn")].slice(-2)) article.remove();
  run(text);
  element("stop").focus(); // the button that had the focus is hidden now
}

/** Whether the user has scrolled to the end, and not back to read what came before. */
const atEnd = () => element("filled").getBoundingClientRect().top < innerHeight + 60;

/** Take a refused message back into the field, so that it can be changed and sent again. */
function undo(content, text) {
  if (!content.isConnected) return; // the user has started again
  if (mode() === "chat") content.closest("article").previousElementSibling.remove();
  content.closest("article").remove();
  element("prompt").value = text;
}

function empty(content) {
  const note = document.createElement("span");
  note.className = "none";
  note.textContent = "The model ended without a word.";
  content.append(note);
}

element("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!running) run(element("prompt").value);
});
element("prompt").addEventListener("keydown", (event) => {
  const plain = mode() === "chat" && !event.shiftKey && !event.isComposing;
  if (event.key !== "Enter" || !(plain || event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  element("form").requestSubmit();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") running?.abort();
});
element("form").addEventListener("input", showCommand);
element("stop").addEventListener("click", () => running?.abort());
element("again").addEventListener("click", repeat);
element("clear").addEventListener("click", () => {
  clear();
  element("prompt").focus();
});
element("copy").addEventListener("click", async () => {
  getSelection().selectAllChildren(element("curl")); // without https there is no clipboard, but the text is selected
  const copied = await navigator.clipboard?.writeText(element("curl").textContent).then(() => true, () => false);
  element("copied").textContent = copied ? "Copied" : "Selected: press Ctrl and C";
});
for (const id of ["chat", "text"]) element(id).addEventListener("change", choose);
showModel();
