// A sweep: its points and series, their colours, and the map of a slice.

class Sweep {
  constructor(data) {
    this.data = data;
    this.count = data.ids.length;
    this.sizes = data.dims.map((d) => d.values.length);
    if (data.grid) {
      this.places = new Int32Array(this.sizes.reduce((a, b) => a * b, 1)).fill(-1);
      for (let p = 0; p < this.count; p++) this.places[this.key(data.dims.map((d) => d.codes[p]))] = p;
    }
    this.byQuantity = data.quantities.map((_, q) => data.series.filter((s) => s.q === q));
  }
  key(codes) { return codes.reduce((key, code, d) => key * this.sizes[d] + code, 0); }
  at(codes) { return this.places[this.key(codes)]; }
  codes(point) { return this.data.dims.map((d) => d.codes[point]); }
  // A series' numbers of a point; null where it has none.
  get(s, point) {
    if (point < 0) return null;
    let i = point;
    if (s.index) {
      i = nearestIndex(s.index, point);
      if (s.index[i] !== point) return null;
    }
    return {
      value: s.value[i], low: s.low[i], high: s.high[i],
      count: Array.isArray(s.count) ? s.count[i] : s.count,
      method: this.data.methods[Array.isArray(s.method) ? s.method[i] : s.method],
    };
  }
  error(point) {
    const text = this.data.errors.values[this.data.errors.codes[point]];
    return text || "no reason given";
  }
  name(point) {
    return this.data.dims.map((d) => `${d.label.split(",")[0]} = ${d.texts[d.codes[point]]}${d.more[d.codes[point]]}`).join(", ");
  }
  atText(s) {
    const { at_unit: unit } = this.data.quantities[s.q];
    if (s.at === null) return "";
    return unit === "target" || unit === "probability" ? riskText(s.at) : number(s.at, 6);
  }
}

function riskText(v) {
  const p = Math.log2(v);
  return p <= -20 && Math.abs(p - Math.round(p)) < 1e-4 ? `2${raised(Math.round(p))}` : number(v);
}

// The colour of values: one range for all slices, so that they compare.
class Colours {
  constructor(series, asked, isShare) {
    const values = series.value.filter((v) => v !== null && Number.isFinite(v));
    const least = minimum(values), most = -minimum(values.map((v) => -v));
    let scale = asked;
    if (scale === "auto") scale = least > 0 && most / least >= 50 ? "log" : "linear";
    if (scale === "log" && !(most > 0)) scale = "linear";
    // A log scale for what hardly varies would show steps nobody can read.
    if (scale === "log" && least > 0 && most / least < 5) scale = "linear";
    this.scale = scale;
    this.isShare = isShare;
    const placed = values.filter(SCALES[scale].has);
    if (isShare && scale !== "linear") series.value.forEach((v, i) => {
      const limit = v === null ? null : limitOf(series, i, scale);
      if (limit) placed.push(limit.end);
    });
    this.span = span(placed, scale, 0);
  }
  // Level 0 … LEVELS−1, whether only a limit is known; null where there is no number.
  level(found) {
    if (!found || found.value === null) return null;
    const { to, has } = SCALES[this.scale];
    let v = found.value, limit = false;
    if (!has(v)) {
      limit = true;
      v = v >= 1 ? found.low : found.high;
      if (!has(v)) v = this.span[found.value >= 1 ? 1 : 0];
    }
    const [a, b] = this.span.map(to);
    const t = v === Infinity ? 1 : b > a ? (to(v) - a) / (b - a) : 0.5;
    return { level: Math.round(Math.min(1, Math.max(0, t)) * (LEVELS - 1)), limit };
  }
}

function minimum(values) {
  let least = Infinity;
  for (const v of values) if (v < least) least = v;
  return least;
}

function viridis(level) {
  const t = (level / (LEVELS - 1)) * (VIRIDIS.length - 1), i = Math.min(Math.floor(t), VIRIDIS.length - 2);
  const [a, b] = [VIRIDIS[i], VIRIDIS[i + 1]].map((c) => [1, 3, 5].map((k) => parseInt(c.slice(k, k + 2), 16)));
  return `#${a.map((v, k) => Math.round(v + (b[k] - v) * (t - i)).toString(16).padStart(2, "0")).join("")}`;
}

// The slice through the selected point in two dimensions; without a grid, all points.
class MapChart extends Chart {
  constructor(host, view) {
    super(host, {
      label: view.sweep.data.grid ? "heat map" : "scatter plot",
      keys: "Arrow keys: select the next point along an axis. Home, End: first and last along the horizontal axis.",
    });
    this.view = view;
    this.hovered = -1;
  }
  label() { const { q, s } = this.view; return quantityTitle(this.view.sweep, q, s); }
  draw() {
    const { view } = this;
    if (!view || !view.colours) return;
    const { sweep, x: dx, y: dy } = view;
    const X = sweep.data.dims[dx], Y = sweep.data.dims[dy], grid = sweep.data.grid;
    this.heading.textContent = this.label();
    const width = this.width;
    const height = Math.round(Math.min(460, Math.max(300, grid ? 90 + Y.values.length * 30 : width * 0.7)));
    const bar = 52;
    const colours = this.colours = view.colours;
    const axis = (D, most) => grid
      ? { label: D.label, scale: "linear", span: [-0.5, D.values.length - 0.5], texts: D.texts, ticks: everyFew(D.values.length, most) }
      : axisOf(D, most);
    const f = this.frame = frame(width, height - bar, axis(X, width / 45), axis(Y, (height - bar) / 26));
    const paths = Array.from({ length: LEVELS }, () => []);
    const holes = [], crosses = [], limits = [];
    const w = grid ? (f.right - f.left) / X.values.length : 0, t = grid ? (f.bottom - f.top) / Y.values.length : 0;
    this.cells = [];
    const each = (point, cx, cy) => {
      const box = grid ? `M${round(cx - w / 2)} ${round(cy - t / 2)}h${round(w + 0.3)}v${round(t + 0.3)}h${-round(w + 0.3)}z` : "";
      if (point < 0) return;
      if (sweep.data.failed[point]) {
        const r = grid ? Math.min(w, t, 16) * 0.3 : 3.5;
        if (grid) holes.push(box);
        crosses.push(`M${round(cx - r)} ${round(cy - r)}l${2 * r} ${2 * r}m0 ${-2 * r}l${-2 * r} ${2 * r}`);
      } else {
        const found = colours.level(sweep.get(view.series, point));
        if (!found) { if (grid) holes.push(box); else holes.push(marker("circle", cx, cy, 4)); } else {
          paths[found.level].push(grid ? box : marker("circle", cx, cy, sweep.count > 2000 ? 3 : 5));
          if (found.limit && (!grid || Math.min(w, t) >= 9)) limits.push(marker("down", round(cx), round(cy), grid ? 3.2 : 2));
        }
      }
      this.cells.push({ point, cx, cy });
    };
    if (grid) {
      const codes = [...view.codes];
      for (let i = 0; i < X.values.length; i++) for (let j = 0; j < Y.values.length; j++) {
        codes[dx] = i; codes[dy] = j;
        each(sweep.at(codes), f.px(i), f.py(j));
      }
    } else for (let p = 0; p < sweep.count; p++) each(p, f.px(X.values[X.codes[p]]), f.py(Y.values[Y.codes[p]]));
    const svg = [f.svg, `<path class="hole" d="${holes.join("")}"/>`];
    paths.forEach((list, level) => { if (list.length) svg.push(`<path fill="${viridis(level)}" d="${list.join("")}"/>`); });
    svg.push(`<path class="mark" d="${limits.join("")}"/><path class="crossed" d="${crosses.join("")}"/>`);
    svg.push(colourBar(f.left, height - bar + 8, f.right - f.left, colours, quantityUnit(sweep, view.q)));
    this.show(height, `${svg.join("")}<g class="over-all"></g>`);
    this.size = [w, t];
    const keys = ["Outlined: the selected point."];
    if (limits.length) keys.push("▼ none (or all) seen: the colour is the other end of the 95 % interval.");
    if (crosses.length) keys.push("× failed point.");
    if (holes.length > (grid ? crosses.length : 0)) keys.push("Grey: no number.");
    if (grid && this.cells.length < X.values.length * Y.values.length) keys.push("Blank: not in the design.");
    if (!grid) keys.unshift("No grid: every point of the design, seen from two of its parameters.");
    else if (sweep.data.dims.length > 2) keys.unshift("The slice at the sliders; colours mean the same in all slices.");
    this.note.textContent = keys.join(" ");
    this.mark();
  }
  mark() {
    const layer = this.area.querySelector(".over-all");
    if (!layer) return;
    const outline = (point, inner) => {
      const cell = this.cells.find((c) => c.point === point);
      if (!cell) return "";
      const [w, t] = this.size[0] ? this.size : [12, 12];
      const box = (d) => `x="${round(cell.cx - w / 2 + d)}" y="${round(cell.cy - t / 2 + d)}" width="${round(Math.max(2, w - 2 * d))}" height="${round(Math.max(2, t - 2 * d))}"`;
      return `<rect class="over" stroke-width="${inner + 3}" ${box(0)}/><rect class="under" stroke-width="${inner}" ${box(0)}/>`;
    };
    layer.innerHTML = outline(this.view.point, 2) + (this.hovered !== this.view.point ? outline(this.hovered, 1) : "");
    this.describe(this.hovered >= 0 ? this.hovered : this.view.point);
  }
  describe(point) {
    const { sweep, series } = this.view;
    if (point < 0) { this.readout.textContent = "The design has no such point."; return; }
    const lines = [h("div", {}, h("strong", {}, sweep.name(point)))];
    const found = sweep.get(series, point);
    lines.push(h("div", {}, sweep.data.failed[point] ? `failed: ${sweep.error(point)}`
      : found ? `${number(found.value)}${plainUnit(sweep, this.view.q)} [95 %: ${interval(found.low, found.high)}], n = ${whole(found.count)} (${found.method})`
        : "no number here"));
    this.readout.replaceChildren(...lines);
  }
  pointer(x, y, down) {
    let best = -1, least = Infinity;
    for (const c of this.cells || []) {
      const far = (c.cx - x) ** 2 + (c.cy - y) ** 2;
      const inside = !this.size[0] || (Math.abs(c.cx - x) <= this.size[0] / 2 && Math.abs(c.cy - y) <= this.size[1] / 2);
      if (inside && far < least) { least = far; best = c.point; }
    }
    if (!this.size?.[0] && least > 400) best = -1;
    if (down && best >= 0) { this.hovered = -1; this.view.select(best); return; }
    if (best !== this.hovered) { this.hovered = best; this.mark(); this.view.preview(best >= 0 ? best : this.view.point); }
  }
  left() { if (this.hovered >= 0) { this.hovered = -1; this.mark(); this.view.preview(this.view.point); } }
  key(event) {
    const { view } = this, { sweep } = view, vertical = event.key === "ArrowUp" || event.key === "ArrowDown";
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: 1, ArrowDown: -1, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined || event.altKey || event.ctrlKey || event.metaKey) return false;
    this.hovered = -1;
    const d = vertical ? view.y : view.x;
    if (sweep.data.grid) {
      view.setCode(d, Math.min(sweep.sizes[d] - 1, Math.max(0, view.codes[d] + step)));
    } else {
      const order = view.order(d), last = order.length - 1;
      view.select(order[Math.min(last, Math.max(0, order.indexOf(view.point) + step))]);
    }
    return true;
  }
  table(raw) {
    const { sweep, x, y, series } = this.view, show = raw ? (v) => v ?? "" : number;
    const X = sweep.data.dims[x], Y = sweep.data.dims[y];
    const rows = this.cells.map(({ point }) => {
      const found = sweep.get(series, point) || {};
      const state = sweep.data.failed[point] ? `failed: ${sweep.error(point)}` : found.method || "no number";
      return [X.texts[X.codes[point]], Y.texts[Y.codes[point]], show(found.value), show(found.low), show(found.high), found.count ?? "", state];
    });
    return { columns: [X.label, Y.label, this.label(), "95 % low", "95 % high", "count", "method"], rows };
  }
}

function everyFew(count, most) {
  const step = Math.max(1, Math.ceil(count / Math.max(2, most)));
  return [...Array(count).keys()].filter((i) => i % step === 0);
}

function axisOf(D, most) {
  if (D.scale === "text") return { label: D.label, scale: "text", span: [-0.5, D.values.length - 0.5], texts: D.texts, ticks: everyFew(D.values.length, most) };
  const range = span(D.values, D.scale, 0.04);
  return { label: D.label, scale: D.scale, span: range, ticks: ticks(D.scale, ...range, Math.max(2, most / 2)) };
}

function colourBar(left, top, width, colours, unit) {
  const { to } = SCALES[colours.scale], [a, b] = colours.span.map(to);
  let cells = "";
  for (let i = 0; i < LEVELS; i++) cells += `<rect x="${round(left + (i * width) / LEVELS)}" y="${top}" width="${round(width / LEVELS + 0.6)}" height="12" fill="${viridis(i)}"/>`;
  let free = -Infinity;
  const labels = ticks(colours.scale, ...colours.span, width / 80).map((t) => {
    const p = round(left + ((to(t) - a) / (b - a)) * width), text = tickText(colours.scale, t), half = text.length * 3.6;
    if (p - half < free) return "";
    free = p + half + 8;
    return `<path class="axis" d="M${p} ${top + 12}v4"/><text x="${p}" y="${top + 27}" text-anchor="middle">${esc(text)}</text>`;
  });
  return `${cells}${labels.join("")}<text class="soft" x="${left - 8}" y="${top + 10}" text-anchor="end">${esc(unit.length * 7 < left ? unit : "")}</text>`;
}

const plainUnit = (sweep, q) => (["", "probability", "share"].includes(quantityUnit(sweep, q)) ? "" : ` ${quantityUnit(sweep, q)}`);
const quantityUnit = (sweep, q) => sweep.data.quantities[q].unit || "";

function quantityTitle(sweep, q, s) {
  const { label, unit, at_unit: atUnit } = sweep.data.quantities[q], series = sweep.byQuantity[q][s];
  const at = series.at === null ? "" : `, at ${sweep.atText(series)} ${atUnit}`;
  return `${label}${at}${unit && unit !== "probability" ? ` (${unit})` : ""}`;
}
