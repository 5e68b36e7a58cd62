// Draws on a canvas and asks /predict/image for each stroke's progress: one request at a time, always the latest drawing.

const element = (id) => document.getElementById(id);
const paper = element("paper");
const pen = paper.getContext("2d", { willReadFrequently: true });
const cursor = { x: 140, y: 60, down: false, shown: false };
const STEP = 10;
let strokes = [];
let asking = false;
let changed = false;

for (let digit = 0; digit < 10; digit += 1) {
  const row = element("bars").insertRow();
  const name = document.createElement("th");
  name.scope = "row";
  name.textContent = digit;
  const meter = document.createElement("meter");
  meter.setAttribute("aria-label", `Probability of ${digit}`);
  row.append(name);
  row.insertCell().append(meter);
  row.insertCell().textContent = "–";
}

function draw() {
  pen.fillStyle = "white";
  pen.fillRect(0, 0, paper.width, paper.height);
  Object.assign(pen, { lineWidth: 22, lineCap: "round", lineJoin: "round", strokeStyle: "black" });
  for (const points of strokes) {
    pen.beginPath();
    pen.moveTo(points[0].x, points[0].y);
    for (const point of points) pen.lineTo(point.x, point.y);
    if (points.length === 1) pen.lineTo(points[0].x + 0.1, points[0].y); // a line of no length leaves no dot
    pen.stroke();
  }
}

function picture() {
  return new Promise((resolve) => paper.toBlob(resolve, "image/png"));
}

async function ask() {
  changed = true;
  if (asking) return;
  asking = true;
  while (changed && strokes.length) {
    changed = false;
    draw();
    const body = await picture();
    markCursor();
    const begun = performance.now();
    try {
      const answer = await fetch("predict/image", { method: "POST", body, headers: { "Content-Type": "image/png" } });
      const content = await answer.json();
      if (!answer.ok) throw new Error(content.detail);
      if (strokes.length) show(content, performance.now() - begun);
    } catch (error) {
      element("problem").textContent = error.message;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
  asking = false;
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;

function show(answer, milliseconds) {
  element("problem").textContent = "";
  element("answer").textContent = `${answer.label}, ${percent(answer.probability)}`;
  element("facts").textContent = `What the model sees; answered in ${milliseconds.toFixed(0)} ms`;
  element("model").textContent = `model version ${answer.model_version}`;
  const rows = element("bars").rows;
  answer.probabilities.forEach(({ label, probability }, place) => {
    const [name, bar, text] = rows[place].cells;
    name.textContent = label;
    bar.firstChild.value = probability;
    text.textContent = percent(probability);
    rows[place].className = label === answer.label ? "best" : "";
  });
  const seen = element("seen").getContext("2d");
  const pixels = seen.createImageData(28, 28);
  answer.image.flat().forEach((ink, place) => pixels.data.set([ink, ink, ink, 255], 4 * place));
  seen.putImageData(pixels, 0, 0);
}

function clear() {
  strokes = [];
  cursor.down = false;
  draw();
  markCursor();
  element("seen").getContext("2d").clearRect(0, 0, 28, 28);
  element("answer").textContent = "Nothing is drawn yet.";
  element("facts").textContent = "What the model sees";
  for (const row of element("bars").rows) {
    row.className = "";
    row.cells[1].firstChild.value = 0;
    row.cells[2].textContent = "–";
  }
}

function place(event) {
  const box = paper.getBoundingClientRect();
  const scale = paper.width / box.width;
  return { x: (event.clientX - box.left) * scale, y: (event.clientY - box.top) * scale };
}

paper.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  paper.setPointerCapture(event.pointerId);
  cursor.shown = false;
  strokes.push([place(event)]);
  draw();
  ask();
});
paper.addEventListener("pointermove", (event) => {
  if (!paper.hasPointerCapture(event.pointerId)) return;
  for (const part of event.getCoalescedEvents?.() ?? [event]) strokes.at(-1).push(place(part));
  draw();
  ask();
});

function markCursor() {
  if (!cursor.shown) return;
  Object.assign(pen, { lineWidth: 2, strokeStyle: cursor.down ? "crimson" : "steelblue" });
  pen.strokeRect(cursor.x - 8, cursor.y - 8, 16, 16);
}

const MOVES = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };

paper.addEventListener("keydown", (event) => {
  if (event.key === "Escape") return clear();
  if (!(event.key in MOVES) && event.key !== " ") return;
  event.preventDefault();
  cursor.shown = true;
  if (event.key === " ") {
    cursor.down = !cursor.down;
    if (cursor.down) strokes.push([{ x: cursor.x, y: cursor.y }]);
  } else {
    const [right, down] = MOVES[event.key];
    cursor.x = Math.min(270, Math.max(10, cursor.x + right));
    cursor.y = Math.min(270, Math.max(10, cursor.y + down));
    if (cursor.down) strokes.at(-1).push({ x: cursor.x, y: cursor.y });
  }
  element("pen").textContent = `Pen ${cursor.down ? "down" : "up"}, column ${cursor.x / STEP}, row ${cursor.y / STEP}`;
  draw();
  markCursor();
  if (cursor.down) ask();
});

element("clear").addEventListener("click", clear);
clear();
