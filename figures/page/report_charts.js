// Charts: axes, a figure with its keyboard, readout, table and download, and lines.

function marker(kind, x, y, r) {
  const s = r * 0.9;
  if (kind === "circle") return `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`;
  if (kind === "square") return `M${x - s} ${y - s}h${2 * s}v${2 * s}h${-2 * s}z`;
  if (kind === "up") return `M${x} ${y - r}l${r} ${2 * s}h${-2 * r}z`;
  if (kind === "down") return `M${x} ${y + r}l${r} ${-2 * s}h${-2 * r}z`;
  if (kind === "diamond") return `M${x} ${y - r}l${r} ${r}l${-r} ${r}l${-r} ${-r}z`;
  if (kind === "plus") return `M${x - r / 3} ${y - r}h${r / 1.5}v${2 * r}h${-r / 1.5}zM${x - r} ${y - r / 3}h${2 * r}v${r / 1.5}h${-2 * r}z`;
  return `M${x - r} ${y - r / 2}l${r / 2} ${-r / 2}l${r * 1.5} ${r * 1.5}l${-r / 2} ${r / 2}zM${x + r / 2} ${y - r}l${r / 2} ${r / 2}l${-r * 1.5} ${r * 1.5}l${-r / 2} ${-r / 2}z`;
}

const round = (p) => Math.round(p * 10) / 10;

// Axes that fit their labels: the left margin is what the widest label needs.
function frame(width, height, x, y) {
  const labels = y.ticks.map((t) => (y.texts ? y.texts[t] : tickText(y.scale, t)));
  const widest = Math.max(...labels.map((l) => l.length), 2);
  const left = Math.min(24 + widest * 7, width * 0.42), right = width - 14;
  const top = 10, bottom = height - 44;
  const place = (axis, from, to) => {
    const { to: f } = SCALES[axis.scale];
    const a = f(axis.span[0]), b = f(axis.span[1]);
    return (v) => round(from + ((f(v) - a) / (b - a)) * (to - from));
  };
  const px = place(x, left, right), py = place(y, bottom, top);
  const clip = (l) => (l.length * 7 > left - 22 ? `${l.slice(0, Math.floor((left - 30) / 7))}…` : l);
  const parts = [];
  y.ticks.forEach((t, i) => {
    parts.push(`<path class="grid" d="M${left} ${py(t)}H${right}"/>`,
      `<text x="${left - 6}" y="${py(t) + 4}" text-anchor="end">${esc(clip(labels[i]))}</text>`);
  });
  let free = -Infinity;
  for (const t of x.ticks) {
    const text = x.texts ? x.texts[t] : tickText(x.scale, t);
    const half = (text.length * 7) / 2;
    const middle = Math.min(Math.max(px(t), half + 2), width - half - 2);
    parts.push(`<path class="axis" d="M${px(t)} ${bottom}v4"/>`);
    if (middle - half < free) continue;
    free = middle + half + 8;
    parts.push(`<text x="${middle}" y="${bottom + 17}" text-anchor="middle">${esc(text)}</text>`);
  }
  parts.push(`<path class="axis" d="M${left} ${top}V${bottom}H${right}"/>`,
    `<text class="soft" x="${(left + right) / 2}" y="${height - 6}" text-anchor="middle">${esc(x.label)}</text>`,
    `<text class="soft" transform="translate(11 ${(top + bottom) / 2}) rotate(-90)" text-anchor="middle">${esc(y.label)}</text>`);
  return { px, py, left, right, top, bottom, svg: parts.join("") };
}

let charts = 0;

// A figure: caption, drawing with a keyboard, what is under the cursor, legend, table.
class Chart {
  constructor(host, { keys, label }) {
    const id = `chart${++charts}`;
    this.heading = h("h3", { id });
    this.note = h("p", { class: "note" });
    this.legend = h("ul", { class: "legend" });
    this.area = h("div", {
      class: "chart", tabindex: "0", role: "application", "aria-labelledby": id,
      "aria-describedby": `${id}keys`, "aria-roledescription": label,
    });
    this.readout = h("div", { class: "readout", "aria-live": "polite" });
    this.body = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-labelledby": id });
    this.details = h("details", { ontoggle: () => this.fill() },
      h("summary", {}, "Table of this chart"), this.body);
    this.figure = h("figure", {},
      h("figcaption", {}, this.heading, this.note), this.legend, this.area,
      h("p", { class: "hidden", id: `${id}keys` }, keys), this.readout,
      h("p", {}, h("button", { type: "button", onclick: () => this.save() }, "CSV of this chart")),
      this.details);
    host.append(this.figure);
    this.area.addEventListener("pointermove", (e) => this.onPointer(e, false));
    this.area.addEventListener("pointerdown", (e) => this.onPointer(e, true));
    this.area.addEventListener("pointerleave", () => this.left());
    this.area.addEventListener("keydown", (e) => { if (this.key(e)) e.preventDefault(); });
    let last = 0;
    new ResizeObserver(() => {
      const width = this.area.clientWidth;
      if (width !== last && width > 0) { last = width; this.draw(); }
    }).observe(this.area);
  }
  get width() { return Math.max(280, this.area.clientWidth || 640); }
  left() {}
  onPointer(event, down) {
    const box = this.area.getBoundingClientRect();
    this.pointer(((event.clientX - box.left) * this.width) / box.width,
      ((event.clientY - box.top) * this.width) / box.width, down);
  }
  show(height, svg) {
    this.height = height;
    this.area.innerHTML = `<svg viewBox="0 0 ${this.width} ${height}" aria-hidden="true">${svg}</svg>`;
  }
  fill() {
    if (!this.details.open) { this.body.replaceChildren(); return; }
    const { columns, rows } = this.table();
    this.body.replaceChildren(tableOf(columns, rows));
  }
  save() {
    const { columns, rows } = this.table(true);
    const name = this.heading.textContent.replace(/[^A-Za-z0-9]+/g, "-").toLowerCase();
    download(`${name}.csv`, [csvLine(columns), ...rows.map(csvLine)], "text/csv");
  }
}

function tableOf(columns, rows) {
  const head = columns.map((c) => `<th scope="col">${esc(c)}</th>`).join("");
  const body = rows.map(([first, ...rest]) => `<tr><th scope="row">${esc(first)}</th>${
    rest.map((cell) => `<td>${esc(cell)}</td>`).join("")}</tr>`).join("");
  const table = h("table");
  table.innerHTML = `<thead><tr>${head}</tr></thead><tbody>${body}</tbody>`;
  return table;
}

// Series over an axis: estimates with bars, bands, closed forms, horizontal targets.
class LineChart extends Chart {
  constructor(host, spec) {
    super(host, {
      label: "line chart",
      keys: "Left and right arrow: next number along the axis. Home, End: first, last.",
    });
    this.set(spec);
  }
  set(spec) {
    this.spec = spec;
    const all = new Set(spec.series.filter((s) => s.kind !== "reference").flatMap((s) => s.x));
    this.places = [...all].sort((a, b) => a - b);
    this.at = null;
    this.heading.textContent = spec.title;
    this.note.textContent = spec.note || "";
    let references = 0, own = 0;
    spec.series.forEach((s) => {
      if (s.kind === "reference") s.dash = REFERENCE_DASHES[references++ % REFERENCE_DASHES.length];
      else s.look = own++ % 7;
    });
    this.legend.innerHTML = spec.series.map((s) => `<li>${legendSample(s)}${esc(s.name)}</li>`).join("");
    this.draw();
    this.read(spec.cursor ?? null);
    if (this.details.open) this.fill();
  }
  draw() {
    const { spec, width } = this;
    if (!spec) return;
    const height = Math.round(Math.min(380, Math.max(260, width * 0.6)));
    const xs = span(this.places, spec.x.scale, spec.x.scale === "text" ? 0.08 : 0.03);
    if (spec.x.scale === "linear" && Math.min(...this.places) >= 0 && xs[0] < 0) xs[0] = 0;
    const own = spec.series.filter((s) => s.kind !== "reference");
    const middles = own.flatMap((s) => [...s.value, ...(s.runs || []).flat()]).concat(spec.targets || []);
    // An interval that nearly reaches 0 shall not push the rest of a log axis together.
    const floor = spec.y.scale === "log" ? minimum(middles.filter((v) => v > 0)) / 8 : -Infinity;
    const ends = own.flatMap((s) => [...(s.low || []).filter((v) => v >= floor), ...(s.high || [])]);
    const values = middles.concat(ends);
    const ys = spec.y.span || span(values, spec.y.scale, 0.06);
    const isShare = spec.series.every((s) => s.value.every((v) => v === null || (v >= 0 && v <= 1)));
    if (isShare && spec.y.scale === "linear") { ys[0] = Math.max(0, ys[0]); ys[1] = Math.min(1.02, ys[1]); }
    if (spec.y.scale === "log" && isShare) ys[1] = Math.min(ys[1], 1.6);
    const x = { ...spec.x, span: xs, ticks: spec.x.ticks || ticks(spec.x.scale, ...xs, width / 75) };
    const y = { ...spec.y, span: ys, ticks: ticks(spec.y.scale, ...ys, height / 48).filter((t) => !isShare || t <= 1) };
    const f = this.frame = frame(width, height, x, y);
    const { has } = SCALES[spec.y.scale];
    const cut = (v) => Math.min(f.bottom, Math.max(f.top, v));
    const py = (v) => (v === Infinity ? f.top : has(v) ? cut(f.py(v)) : v >= 1 ? f.top : f.bottom);
    const parts = [f.svg];
    const path = (xs_, vs) => {
      let d = "", pen = "M";
      vs.forEach((v, i) => {
        if (v === null || !has(v) || !Number.isFinite(v)) { pen = "M"; return; }
        const p = f.py(v);
        if (p > f.bottom + 400 || p < f.top - 400) { pen = "M"; return; }
        d += `${pen}${f.px(xs_[i])} ${round(p)}`;
        pen = "L";
      });
      return d;
    };
    parts.push(`<clipPath id="${this.heading.id}c"><rect x="${f.left}" y="${f.top - 4}" width="${f.right - f.left + 6}" height="${f.bottom - f.top + 6}"/></clipPath><g clip-path="url(#${this.heading.id}c)">`);
    for (const s of spec.series) {
      if (s.kind === "reference") {
        parts.push(`<path class="ref" stroke-dasharray="${s.dash}" d="${path(s.x, s.value)}"/>`);
        continue;
      }
      if (s.runs) parts.push(`<path class="run c${s.look}" d="${s.runs.map((run) => path(s.x, run)).join("")}"/>`);
      if (s.low && s.kind === "band") {
        const forth = s.x.map((v, i) => (s.value[i] === null ? null : `${f.px(v)} ${py(s.high[i])}`)).filter(Boolean);
        const back = s.x.map((v, i) => (s.value[i] === null ? null : `${f.px(v)} ${py(s.low[i])}`)).filter(Boolean).reverse();
        if (forth.length) parts.push(`<path class="band f${s.look}" d="M${[...forth, ...back].join("L")}z"/>`);
      }
      const dash = s.kind === "dots" || s.kind === "estimate" ? "" : DASHES[s.look];
      if (s.kind !== "dots") parts.push(`<path class="line c${s.look}" stroke-dasharray="${dash}" d="${path(s.x, s.value)}"/>`);
    }
    parts.push("</g>");
    for (const t of spec.targets || []) {
      parts.push(`<path class="axis" d="M${f.left} ${py(t)}H${f.right}"/>`,
        `<text class="halo" x="${f.left + 6}" y="${py(t) - 4}">T_acc = ${number(t)}</text>`);
    }
    for (const s of spec.series) {
      if (!s.low || s.runs) continue;
      let bars = "", marks = "", ends = "";
      const many = s.x.length > 500;
      s.x.forEach((v, i) => {
        if (s.value[i] === null) return;
        const at = f.px(v), limit = limitOf(s, i, spec.y.scale);
        if (limit) {
          const p = py(limit.end), d = limit.up ? -9 : 9;
          ends += `M${at - 4} ${p}h8M${at} ${p}v${d}l-3 ${-d / 3}m3 ${d / 3}l3 ${-d / 3}`;
          return;
        }
        if (!has(s.value[i])) return;
        if (!many && s.kind !== "band") bars += `M${at} ${py(s.low[i])}V${py(s.high[i])}M${at - 3} ${py(s.low[i])}h6M${at - 3} ${py(s.high[i])}h6`;
        marks += marker(MARKERS[s.look], at, py(s.value[i]), many ? 2 : 3.2);
      });
      parts.push(`<path class="bar c${s.look}" d="${bars}"/><path class="f${s.look}" d="${marks}"/><path class="bar c${s.look}" stroke-width="1.5" d="${ends}"/>`);
    }
    this.show(height, `${parts.join("")}<g class="over-all"></g>`);
    this.mark();
  }
  mark() {
    const layer = this.area.querySelector(".over-all");
    if (!layer || !this.frame) return;
    const f = this.frame;
    layer.innerHTML = this.at === null ? ""
      : `<path class="cursor" d="M${f.px(this.at)} ${f.top}V${f.bottom}"/>`;
  }
  pointer(x) {
    if (!this.frame || !this.places.length) return;
    const nearest = this.places.reduce((best, v) =>
      Math.abs(this.frame.px(v) - x) < Math.abs(this.frame.px(best) - x) ? v : best);
    if (nearest !== this.at) this.read(nearest);
  }
  key(event) {
    const now = this.places.indexOf(this.at), last = this.places.length - 1;
    // Smooth curves have hundreds of places: a key press is a visible step.
    const step = Math.max(1, Math.round(this.places.length / 60));
    const to = { ArrowLeft: Math.max(0, now - step), ArrowRight: Math.min(last, now + step), Home: 0, End: last }[event.key];
    if (to === undefined || event.altKey || event.ctrlKey || event.metaKey) return false;
    this.read(this.places[to]);
    return true;
  }
  read(at) {
    this.at = at;
    this.mark();
    if (at === null || at === undefined) {
      this.at = null;
      this.readout.replaceChildren(h("div", { class: "note" }, "Point at the chart, or focus it and use the arrow keys, to read its numbers."));
      return;
    }
    const { x } = this.spec;
    const text = x.texts ? x.texts[at] : number(at);
    const lines = [h("div", {}, h("strong", {}, `${x.label}: ${text}`))];
    for (const s of this.spec.series) {
      const i = nearestIndex(s.x, at);
      if (i < 0 || (s.kind !== "line" && s.x[i] !== at) || s.value[i] === null) continue;
      let line = `${s.name}: ${number(s.value[i])}`;
      if (s.low) line += ` [${this.spec.spread || "95 %"}: ${interval(s.low[i], s.high[i])}]`;
      if (s.count && s.count[i] !== null) line += `, n = ${whole(s.count[i])}`;
      if (s.method && s.method[i]) line += ` (${s.method[i]})`;
      lines.push(h("div", {}, line));
      if (s.kind === "dots" && s.x[i + 1] === at) {
        lines.push(h("div", {}, `and ${s.x.lastIndexOf(at) - i} more at this place, see the table`));
      }
    }
    this.readout.replaceChildren(...lines);
  }
  table(raw) {
    const show = raw ? (v) => v ?? "" : number;
    const spread = this.spec.spread || "95 %";
    const columns = ["series", this.spec.x.label, "value", `${spread} low`, `${spread} high`, "count", "method"];
    const rows = this.spec.series.flatMap((s) => s.x.map((v, i) => [
      s.name, this.spec.x.texts ? this.spec.x.texts[v] : show(v), show(s.value[i]),
      s.low ? show(s.low[i]) : "", s.high ? show(s.high[i]) : "",
      s.count ? (raw ? s.count[i] : whole(s.count[i])) : "", s.method ? s.method[i] : "",
    ]));
    return { columns, rows };
  }
}

function nearestIndex(sorted, at) {
  let low = 0, high = sorted.length - 1;
  if (high < 0) return -1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < at) low = middle + 1; else high = middle;
  }
  return low > 0 && at - sorted[low - 1] < sorted[low] - at ? low - 1 : low;
}

function legendSample(s) {
  const line = s.kind === "reference"
    ? `<path class="ref" stroke-dasharray="${s.dash}" d="M1 7H33"/>`
    : s.kind === "dots" ? "" : `<path class="line c${s.look}" stroke-dasharray="${s.kind === "estimate" ? "" : DASHES[s.look]}" d="M1 7H33"/>`;
  const mark = s.low && !s.runs ? `<path class="f${s.look}" d="${marker(MARKERS[s.look], 17, 7, 3.5)}"/>` : "";
  return `<svg viewBox="0 0 34 14" aria-hidden="true">${line}${mark}</svg>`;
}
