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

function choices(values) {
  const select = document.createElement("select");
  values.forEach(([text, value]) => select.add(new Option(text, JSON.stringify(value))));
  return select;
}

function control(feature) {
  const missing = feature.missing === "refused" ? [] : [["missing", null]];
  if (feature.kind === "bool") return choices([["yes", true], ["no", false], ...missing]);
  if (feature.kind === "category") return choices([...feature.values.map((value) => [value, value]), ...missing]);
  const input = document.createElement("input");
  input.type = "number";
  input.step = feature.kind === "int" ? "1" : "any";
  input.required = !missing.length;
  return input;
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
  const facts = feature.range ? [`${feature.range[0]} to ${feature.range[1]} in training`] : [];
  if (input.type === "number" && feature.missing !== "refused") facts.push("empty if missing");
  hint.textContent = facts.join("; ");
  input.setAttribute("aria-describedby", hint.id);
  input.value = input.type === "number" ? feature.example ?? "" : JSON.stringify(feature.example);
  box.append(label, input, hint);
  element("fields").append(box);
  return { name: feature.name, box, input };
}

function value({ input }) {
  if (input.type !== "number") return JSON.parse(input.value);
  return input.value === "" ? null : Number(input.value);
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
