// Makes a field for each feature that the model's metadata names, and asks /predict for the row in them.

const element = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(1)} %`;
let fields = [];
let asked = 0;

async function fetched(path, options) {
  const answer = await fetch(path, options);
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.detail);
  return content;
}

const short = (number) => (Number.isInteger(number) ? number : Number(number.toPrecision(4)));
const isTyped = (control) => control.tagName === "INPUT"; // not chosen

function choices(values) {
  const select = document.createElement("select");
  values.forEach(([text, value]) => select.add(new Option(text, JSON.stringify(value))));
  return select;
}

function control(feature) {
  const missing = feature.missing === "refused" ? [] : [["missing", null]];
  if (feature.kind === "bool") return choices([["yes", true], ["no", false], ...missing]);
  if (feature.kind === "category" && feature.unknown !== "accepted") {
    return choices([...feature.values.map((value) => [value, value]), ...missing]);
  }
  const input = document.createElement("input");
  input.type = feature.kind === "category" ? "text" : "number";
  input.step = feature.kind === "float" ? "any" : "1";
  input.required = !missing.length;
  return input;
}

function suggestions(input, values) {
  const list = document.createElement("datalist");
  list.id = `${input.id}values`;
  list.append(...values.map((value) => new Option(value)));
  input.setAttribute("list", list.id);
  return list;
}

function field(feature, number) {
  const box = document.createElement("div");
  const label = document.createElement("label");
  const input = control(feature);
  const hint = document.createElement("small");
  input.id = `feature${number}`;
  label.htmlFor = input.id;
  label.textContent = feature.unit ? `${feature.name}, ${feature.unit}` : feature.name;
  hint.id = `hint${number}`;
  const facts = feature.range ? [`${feature.range.map(short).join(" to ")} in training`] : [];
  if (input.type === "text") facts.push("known values are suggested, others are answered too");
  if (isTyped(input) && feature.missing !== "refused") facts.push("empty if missing");
  hint.textContent = facts.join("; ");
  input.setAttribute("aria-describedby", hint.id);
  input.value = isTyped(input) ? feature.example ?? "" : JSON.stringify(feature.example);
  box.append(label, input, hint);
  if (input.type === "text") box.append(suggestions(input, feature.values));
  element("fields").append(box);
  return { name: feature.name, box, input };
}

function value({ input }) {
  if (!isTyped(input)) return JSON.parse(input.value);
  if (input.value === "") return null;
  return input.type === "number" ? Number(input.value) : input.value;
}

function show(answer) {
  element("problem").textContent = "";
  element("model").textContent = `model version ${answer.model_version}`;
  element("bars").replaceChildren();
  const values = [answer.value].flat();
  element("answer").textContent = answer.top ? `${answer.label}, ${percent(answer.probability)}` : values.join(", ");
  for (const { label, probability } of answer.top ?? []) {
    const row = element("bars").insertRow();
    const name = document.createElement("th");
    const meter = document.createElement("meter");
    name.scope = "row";
    name.textContent = label;
    meter.value = probability;
    meter.setAttribute("aria-label", `Probability of ${label}`);
    row.append(name);
    row.insertCell().append(meter);
    row.insertCell().textContent = percent(probability);
    row.className = label === answer.label ? "best" : "";
  }
  const outside = new Set(answer.outside_range);
  fields.forEach(({ name, box }) => { box.className = outside.has(name) ? "outside" : ""; });
  element("outside").textContent = outside.size ? `Outside the training data: ${[...outside].join(", ")}.` : "";
}

async function ask(event) {
  event?.preventDefault();
  const features = Object.fromEntries(fields.map((one) => [one.name, value(one)]));
  const body = JSON.stringify({ features, check_range: true });
  const turn = ++asked;
  try {
    const answer = await fetched("predict", { method: "POST", body, headers: { "Content-Type": "application/json" } });
    if (turn === asked) show(answer); // not the answer to what the fields said before
  } catch (error) {
    element("problem").textContent = error.message;
  }
}

async function start() {
  try {
    const { model } = await fetched("healthz");
    const { inputs } = await fetched(`v2/models/${encodeURIComponent(model.name)}`);
    document.title = element("title").textContent = `Ask ${model.name}`;
    fields = inputs.map(({ parameters }, number) => field(parameters, number));
    await ask();
  } catch (error) {
    element("problem").textContent = error.message;
  }
}

element("row").addEventListener("submit", ask);
element("row").addEventListener("change", () => element("row").reportValidity() && ask());
start();
