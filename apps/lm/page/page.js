// Chats with the model, or lets it continue a text. One answer at a time; closing its connection stops it.

import { History } from "./history.js";
import { markdown } from "./markdown.js";
import { ask, chat, continuation, asCommand, DEFAULT_TOKENS } from "./requests.js";
import { Timing } from "./timing.js";
import { part, question, removeFrom, turn } from "./turns.js";

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
let asked = null; // the last message, {text, before, article}: `before` is the conversation before it
let editing = null; // an earlier one that is being changed, with the draft that was in the field

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
    element("history").hidden = true;
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
  leaveEdit();
  last = null;
  showTurns([]);
  element("again").disabled = true;
  element("examples").hidden = false;
  kept.use();
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
  const before = editing ? editing.before : messages;
  return [...(system ? [{ role: "system", content: system }] : []), ...before, { role: "user", content: text }];
}

function request(text) {
  return mode() === "chat" ? chat(name, conversation(text), settings()) : continuation(text, settings());
}

function showCommand() {
  const text = element("prompt").value;
  element("curl").textContent = asCommand(!text && last ? last : request(text || "Hello"));
  element("copied").textContent = "";
}

/** Add a message of the user, which can be changed later. */
function addQuestion(text) {
  const at = { text, before: messages };
  at.article = question(text, () => edit(at));
  return at;
}

/** Show a conversation, and go on from its end. */
function showTurns(list) {
  [messages, asked] = [[], null];
  element("turns").replaceChildren();
  for (const message of list) {
    if (message.role === "user") asked = addQuestion(message.content);
    else turn("assistant", name, "").replaceChildren(...markdown(message.content));
    messages = [...messages, message];
  }
}

function open(list) {
  element("chat").checked = true;
  choose();
  showTurns(list);
  element("examples").hidden = true;
  element("again").disabled = false;
  element("counts").textContent = "counted with the next answer";
  element("prompt").focus();
}

function edit(at) {
  leaveEdit();
  editing = { ...at, draft: element("prompt").value };
  for (let article = at.article; article; article = article.nextElementSibling) article.classList.add("replaced");
  element("asks").textContent = "Change your message; it replaces all that follows";
  element("cancel").disabled = false;
  element("prompt").value = at.text;
  element("prompt").focus();
  showCommand();
}

function leaveEdit() {
  if (!editing) return;
  element("prompt").value = editing.draft;
  editing = null;
  for (const article of document.querySelectorAll(".replaced")) article.classList.remove("replaced");
  element("asks").textContent = WORDS[mode()].ask;
  element("cancel").disabled = true;
  showCommand();
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

function begin(text) {
  running = new AbortController();
  element("problem").textContent = "";
  element("status").textContent = "Reading";
  element("examples").hidden = true;
  change(element("go"), element("stop"));
  element("again").disabled = true;
  element("turns").setAttribute("aria-busy", "true"); // a screen reader waits for the whole answer
  if (mode() === "chat") {
    asked = addQuestion(text);
    return turn("assistant", name, "");
  }
  asked = { text, before: messages };
  element("turns").replaceChildren();
  const content = turn("assistant continued", name, "");
  part(content, "original", text);
  return content;
}

function end() {
  running = null;
  element("turns").setAttribute("aria-busy", "false");
  change(element("stop"), element("go"));
  element("again").disabled = !asked;
}

/** Ask; `replaced` is the conversation that returns if there is no answer. */
async function run(text, replaced = null) {
  const chatting = mode() === "chat";
  const earlier = asked;
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
    const reached = `Stopped: ${timing.first === null ? "nothing came yet" : timing}`;
    element("status").textContent = stopped && content.isConnected ? reached : "";
    element("problem").textContent = stopped ? "" : error.message;
    if (!answer) undo(content, text, replaced, earlier);
  }
  if (content.isConnected) {
    if (!answer) part(content, "none", "The model ended without a word.");
    else if (chatting) {
      messages = [...messages, { role: "user", content: text }, { role: "assistant", content: answer }];
      kept.keep(messages);
    }
  }
  end();
}

/** Ask `text` in the place of an earlier message; what follows that one is replaced. */
function replace({ before, article }, text) {
  const replaced = messages;
  messages = before;
  if (article) removeFrom(article);
  run(text, replaced);
}

/** Ask the last message again; its answer is drawn anew. */
function repeat() {
  leaveEdit();
  replace(asked, asked.text);
  element("stop").focus(); // the button that had the focus is hidden now
}

/** Whether the user has scrolled to the end, and not back to read what came before. */
const atEnd = () => element("filled").getBoundingClientRect().top < innerHeight + 60;

/** Take a message back that got no answer, so that it can be changed and sent again. */
function undo(content, text, replaced, earlier) {
  if (!content.isConnected) return; // the user has started again
  const restored = replaced?.[messages.length]?.content === text;
  if (replaced) showTurns(replaced);
  else {
    removeFrom(asked.article ?? content.closest("article"));
    asked = earlier;
  }
  if (!restored) element("prompt").value = text;
}

element("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (running) return;
  const text = element("prompt").value;
  if (!editing) return run(text);
  const at = editing;
  leaveEdit();
  replace(at, text);
});
element("prompt").addEventListener("keydown", (event) => {
  const plain = mode() === "chat" && !event.shiftKey && !event.isComposing;
  if (event.key !== "Enter" || !(plain || event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  element("form").requestSubmit();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  if (running) running.abort();
  else leaveEdit();
});
element("form").addEventListener("input", showCommand);
element("stop").addEventListener("click", () => running?.abort());
element("again").addEventListener("click", repeat);
element("cancel").addEventListener("click", () => {
  leaveEdit();
  element("prompt").focus();
});
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
const kept = new History(open, clear);
showModel();
