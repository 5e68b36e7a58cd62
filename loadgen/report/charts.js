"use strict";
// Draws the panels of `charts.py` as SVG on one time axis. The pointer, or the arrow keys, read all of them at one
// instant; dragging enlarges a stretch of time, a double click (or Escape) shows all of it again.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const LEFT = 64, RIGHT = 12, TOP = 6, BOTTOM = 6, AXIS = 22, HEIGHT = 130, ROW = 18;
  const DASHES = ["", "", "6 3", "2 2", "8 3 2 3", "1 3"];
  const data = JSON.parse(document.getElementById("data").textContent);
  const charts = document.getElementById("charts");
  const views = [];
  let from = 0, to = data.end, pointed = null, dragged = null;

  const node = (name, attributes, parent, text) => {
    const made = document.createElementNS(SVG, name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    if (text !== undefined) made.textContent = text;
    if (parent) parent.appendChild(made);
    return made;
  };
  const element = (name, className, parent, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    parent.appendChild(made);
    return made;
  };

  const number = (value) => Number(value.toPrecision(3)).toLocaleString("en");
  const format = (value, unit) => {
    if (value === null || value === undefined) return "–";
    if (unit === "s") return value >= 1 ? number(value) + " s" : number(value * 1000) + " ms";
    return number(value) + (unit === "%" ? " %" : unit);
  };
  const clock = (seconds) => (seconds >= 600
    ? `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}` : `${number(seconds)} s`);

  // Round steps of 1, 2 or 5 times a power of ten, about `count` of them.
  const ticks = (low, high, count) => {
    const rough = Math.max((high - low) / count, 1e-12), power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
    const result = [];
    for (let tick = Math.ceil(low / step) * step; tick <= high + step * 1e-6; tick += step) result.push(tick);
    return result;
  };
  const decades = (low, high) => {
    const result = [];
    for (let power = Math.floor(Math.log10(low)); 10 ** power <= high * 1.001; power++)
      for (const factor of high / low > 200 ? [1] : [1, 3])
        if (factor * 10 ** power >= low * 0.999 && factor * 10 ** power <= high * 1.001) result.push(factor * 10 ** power);
    return result;
  };

  // The value of a series at a time: the last one of a step line, else the one of that second.
  const at = (series, time) => {
    let low = 0, high = series.x.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (series.x[middle] <= time) low = middle + 1; else high = middle;
    }
    if (!low) return null;
    return series.step || time < series.x[low - 1] + 1 ? series.y[low - 1] : null;
  };

  const scaleOf = (panel) => {
    let values = [];
    for (const series of panel.series) values = values.concat(visible(series));
    if (panel.kind === "bars") values = panel.series[0].y.map((_, i) => panel.series.reduce((sum, series) => sum + series.y[i], 0));
    values = values.filter((value) => value !== null && (!panel.log || value > 0));
    const high = values.reduce((a, b) => Math.max(a, b), panel.log ? 1e-3 : 0) || 1;
    const low = panel.log ? Math.min(values.reduce((a, b) => Math.min(a, b), high), high / 10) : 0;
    const top = panel.log ? high * 1.2 : high * 1.05;
    const share = panel.log ? (value) => Math.log(Math.max(value, low) / low) / Math.log(top / low) : (value) => value / top;
    return { y: (value) => TOP + (1 - share(value)) * (HEIGHT - TOP - BOTTOM), ticks: panel.log ? decades(low, top) : ticks(0, top, 4) };
  };
  const visible = (series) => series.y.filter((_, index) => {
    const start = series.x[index], stop = series.step ? (series.x[index + 1] ?? to) : start;
    return stop >= from && start <= to;
  });

  const path = (series, x, y) => {
    let line = "", pen = false, last = null;
    series.x.forEach((time, index) => {
      const value = series.y[index];
      if (value === null || value === undefined) { pen = false; last = null; return; }
      const next = series.x[index + 1], isolated = !pen && !series.step && (series.y[index + 1] ?? null) === null;
      if (series.step && pen) line += `H${x(time)}`;
      line += `${pen ? "L" : "M"}${x(time)} ${y(value)}`;
      if (isolated) line += "h1.5";
      pen = true;
      last = value;
      if (series.step && next === undefined) line += `H${x(data.end)}`;
    });
    return line;
  };

  const draw = (view) => {
    const { panel, svg } = view, width = view.box.clientWidth || 900;
    const rows = panel.kind === "pods" ? panel.rows.length : 1;
    const height = panel.kind === "pods" ? rows * ROW + 8 : panel.kind === "events" ? 26 : HEIGHT;
    const x = (time) => Math.round((LEFT + (time - from) / (to - from) * (width - LEFT - RIGHT)) * 10) / 10;
    svg.replaceChildren();
    svg.setAttribute("viewBox", `0 0 ${width} ${height + (view.last ? AXIS : 0)}`);
    node("title", {}, svg, panel.title);
    const clip = node("clipPath", { id: `clip-${panel.id}` }, svg);
    node("rect", { x: LEFT, y: 0, width: width - LEFT - RIGHT, height }, clip);
    for (const time of ticks(from, to, Math.max(width / 110, 2))) {
      node("line", { x1: x(time), x2: x(time), y1: 0, y2: height, class: "grid" }, svg);
      if (view.last) node("text", { x: x(time), y: height + 15, class: "tick", "text-anchor": "middle" }, svg, clock(time));
    }
    for (const phase of data.phases)
      if (phase.start > from && phase.start < to) node("line", { x1: x(phase.start), x2: x(phase.start), y1: 0, y2: height, class: "phase" }, svg);
    const body = node("g", { "clip-path": `url(#clip-${panel.id})` }, svg);
    if (panel.series) {
      const scale = scaleOf(panel);
      for (const tick of scale.ticks) {
        node("line", { x1: LEFT, x2: width - RIGHT, y1: scale.y(tick), y2: scale.y(tick), class: "grid" }, svg);
        node("text", { x: LEFT - 6, y: scale.y(tick) + 4, class: "tick", "text-anchor": "end" }, svg, format(tick, panel.unit));
      }
      if (panel.kind === "bars") bars(panel, body, x, scale.y);
      else for (const series of panel.series)
        node("path", { d: path(series, x, scale.y), class: `line s${series.style}`, "stroke-dasharray": DASHES[series.style] }, body);
    } else if (panel.kind === "pods") panel.rows.forEach((row, index) => {
      for (const [state, start, stop] of row.segments) {
        const bar = node("rect", { x: x(start), y: index * ROW + 4, width: Math.max(x(stop) - x(start), 1), height: ROW - 5, class: `pod ${state}` }, body);
        node("title", {}, bar, `${row.name} ${row.version ?? ""}: ${state} from ${clock(start)} to ${clock(stop)}`);
      }
      node("text", { x: LEFT - 6, y: index * ROW + 15, class: "tick", "text-anchor": "end" }, svg, "…" + row.name.slice(-6));
    });
    else for (const mark of panel.marks)
      node("title", {}, node("path", { d: `M${x(mark.at)} 5l5 14h-10z`, class: "event" }, body), `${clock(mark.at)} ${mark.text}`);
    view.line = node("line", { y1: 0, y2: height, class: "pointer", visibility: "hidden" }, svg);
    view.x = x;
    view.time = (px) => from + (px - LEFT) / (width - LEFT - RIGHT) * (to - from);
  };

  const bars = (panel, body, x, y) => {
    const base = panel.series[0].x.map(() => 0);
    for (const series of panel.series) series.y.forEach((value, index) => {
      if (!value) return;
      const start = x(series.x[index]), top = y(base[index] + value);
      node("rect", { x: start, y: top, width: Math.max(x(series.x[index] + 1) - start, 1), height: y(base[index]) - top, class: `fill s${series.style}` }, body);
      base[index] += value;
    });
  };

  const read = () => {
    const phase = pointed === null ? null : data.phases.filter((entry) => entry.start <= pointed).pop();
    document.getElementById("instant").textContent = pointed === null ? "" : `${clock(pointed)}${phase ? ` · ${phase.name}` : ""}`;
    for (const view of views) {
      view.line.setAttribute("visibility", pointed === null ? "hidden" : "visible");
      if (pointed !== null) { view.line.setAttribute("x1", view.x(pointed)); view.line.setAttribute("x2", view.x(pointed)); }
      view.values.forEach((value, index) => { value.textContent = pointed === null ? "" : format(at(view.panel.series[index], pointed), view.panel.unit); });
      if (view.note) view.note.textContent = pointed === null ? "" : view.describe(pointed);
    }
  };
  const pods = (panel) => (time) => {
    const states = {};
    for (const row of panel.rows) for (const [state, start, stop] of row.segments)
      if (start <= time && time < stop) states[state] = (states[state] || 0) + 1;
    return Object.entries(states).map(([state, count]) => `${count} ${state}`).join(", ");
  };
  const events = (panel) => (time) => panel.marks.filter((mark) => Math.abs(mark.at - time) <= (to - from) / 150)
    .map((mark) => mark.text).slice(-2).join(" · ");

  const redraw = () => { views.forEach(draw); read(); };
  const zoom = (start, stop) => { from = Math.max(start, 0); to = Math.min(stop, data.end); redraw(); };
  const point = (time) => { pointed = Math.min(Math.max(time, from), to); read(); };

  data.panels.forEach((panel, index) => {
    const box = element("figure", "", charts), caption = element("figcaption", "", box);
    element("b", "", caption, panel.title);
    const values = (panel.series || []).map((series) => {
      const entry = element("span", `key s${series.style}`, caption), sample = node("svg", { width: 26, height: 10, "aria-hidden": true }, entry);
      if (panel.kind === "bars") node("rect", { width: 26, height: 10, class: `fill s${series.style}` }, sample);
      else node("line", { x1: 0, x2: 26, y1: 5, y2: 5, class: `line s${series.style}`, "stroke-dasharray": DASHES[series.style] }, sample);
      element("span", "", entry, `${series.name} `);
      return element("output", "", entry);
    });
    const view = { panel, box, values, last: index === data.panels.length - 1 };
    if (panel.kind === "pods") {
      for (const state of ["pending", "starting", "ready", "terminating"]) {
        const entry = element("span", "key", caption), sample = node("svg", { width: 26, height: 10, "aria-hidden": true }, entry);
        node("rect", { width: 26, height: 10, class: `pod ${state}` }, sample);
        element("span", "", entry, state);
      }
    }
    if (panel.kind === "pods" || panel.kind === "events") {
      view.note = element("output", "", caption);
      view.describe = (panel.kind === "pods" ? pods : events)(panel);
    }
    view.svg = node("svg", { role: "img", "aria-label": panel.title }, box);
    view.svg.addEventListener("pointermove", (event) => {
      point(view.time(event.clientX - view.svg.getBoundingClientRect().left));
    });
    view.svg.addEventListener("pointerdown", (event) => { dragged = view.time(event.clientX - view.svg.getBoundingClientRect().left); });
    view.svg.addEventListener("dblclick", () => zoom(0, data.end));
    views.push(view);
  });
  window.addEventListener("pointerup", () => {
    if (dragged !== null && pointed !== null && Math.abs(pointed - dragged) > (to - from) / 100)
      zoom(Math.min(dragged, pointed), Math.max(dragged, pointed));
    dragged = null;
  });
  charts.addEventListener("pointerleave", () => { pointed = null; read(); });
  charts.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") zoom(0, data.end);
    else if (step) { point((pointed ?? from) + step * (event.shiftKey ? 10 : 1)); event.preventDefault(); }
  });
  window.addEventListener("resize", redraw);
  window.addEventListener("beforeprint", redraw);
  redraw();
})();
