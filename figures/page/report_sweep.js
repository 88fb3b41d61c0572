// A sweep: its points and series, the map of a slice, and what is chosen.

class Sweep {
  constructor(data) {
    this.data = data;
    this.count = data.ids.length;
    this.sizes = data.dims.map((d) => d.values.length);
    if (data.grid) {
      this.places = new Int32Array(this.sizes.reduce((a, b) => a * b, 1)).fill(-1);
      for (let p = 0; p < this.count; p++) this.places[this.key(this.codes(p))] = p;
    }
    this.byQuantity = data.quantities.map((_, q) => data.series.filter((s) => s.q === q));
    for (const s of data.series) s.of = s.index && new Map(s.index.map((point, i) => [point, i]));
  }
  key(codes) { return codes.reduce((key, code, d) => key * this.sizes[d] + code, 0); }
  at(codes) { return this.places[this.key(codes)]; }
  codes(point) { return this.data.dims.map((d) => d.codes[point]); }
  // A series' numbers of a point; null where it has none.
  get(s, point) {
    const i = s.of ? s.of.get(point) ?? -1 : point;
    if (i < 0) return null;
    return {
      value: s.value[i], low: s.low[i], high: s.high[i],
      count: Array.isArray(s.count) ? s.count[i] : s.count,
      method: this.data.methods[Array.isArray(s.method) ? s.method[i] : s.method],
    };
  }
  error(point) { return this.data.errors.values[this.data.errors.codes[point]] || "no reason given"; }
  // A row of a chart: a point's number, or why it has none.
  row(s, point, more) {
    const found = this.get(s, point);
    if (found) return { ...found, ...more, state: "done" };
    const failed = this.data.failed[point];
    return { value: null, low: null, high: null, count: null, ...more, state: failed ? "failed" : "none",
      method: failed ? `failed: ${this.error(point)}` : "no number" };
  }
  name(point) {
    return this.data.dims.map((d) => `${short(d)} = ${d.texts[d.codes[point]]}${d.more[d.codes[point]]}`).join(", ");
  }
  // Where a point stands on a dimension's axis.
  place(d, code, named) { return named || d.scale === "text" ? d.texts[code] : d.values[code]; }
}

const short = (dim) => dim.label.split(",")[0];
const copy = (value) => structuredClone(value);

// The slice through the selected point in two dimensions; without a grid, all points.
class MapChart extends Chart {
  constructor(host, owner) {
    super(host, {
      label: owner.sweep.data.grid ? "heat map" : "scatter plot",
      keys: "Arrow keys: select the next point along an axis. Home, End: first and last along the horizontal axis.",
    });
    this.owner = owner;
    this.hovered = -1;
  }
  draw() {
    const { sweep, series, x, y, codes, point } = this.owner, { data } = sweep, X = data.dims[x], Y = data.dims[y];
    // Another point of the same slice is outlined, and nothing drawn again.
    const slice = JSON.stringify([data.series.indexOf(series), x, y, data.grid && codes.map((c, d) => (d === x || d === y ? 0 : c))]);
    if (slice === this.slice) { this.mark(point); this.describe(point); return; }
    this.slice = slice;
    const rows = [], add = (p) => {
      if (p >= 0) rows.push(sweep.row(series, p, { point: p,
        column: sweep.place(X, X.codes[p], data.grid), row: sweep.place(Y, Y.codes[p], data.grid) }));
    };
    if (data.grid) {
      const here = [...codes];
      for (here[x] = 0; here[x] < sweep.sizes[x]; here[x]++) for (here[y] = 0; here[y] < sweep.sizes[y]; here[y]++) add(sweep.at(here));
    } else for (let p = 0; p < sweep.count; p++) add(p);
    const spec = copy(data.specs.map[series.scale]), color = copy(data.specs.color[series.scale]);
    color.scale.domain = series.span;
    color.legend.title = data.quantities[series.q].unit || null;
    Object.assign(spec.encoding, { x: X.channels.x, y: Y.channels.y });
    spec.layer[1].encoding.color = color;
    if (data.grid) spec.height = Math.min(360, Math.max(220, 30 * sweep.sizes[y]));
    this.heading.textContent = series.title;
    this.says.textContent = series.says;
    const some = (test) => rows.some(test), notes = [];
    if (!data.grid) notes.push("No grid: every point of the design, seen from two of its parameters.");
    else if (data.dims.length > 2) notes.push("The slice at the sliders; colours mean the same in all slices.");
    notes.push("Outlined: the selected point.");
    if (series.scale !== "linear" && some((r) => r.value === 0 || r.value === 1)) notes.push("▽ none (or all) seen: the colour is the other end of the 95 % interval.");
    if (some((r) => r.state === "failed")) notes.push("× failed point.");
    if (some((r) => r.state === "none" || Math.abs(r.value) === Infinity)) notes.push("Grey: no number, or an infinite one.");
    if (data.grid && rows.length < sweep.sizes[x] * sweep.sizes[y]) notes.push("Blank: not in the design.");
    this.note.textContent = notes.join(" ");
    this.at = point;
    this.show(spec, rows);
    this.describe(point);
  }
  describe(point) {
    const { sweep, series } = this.owner;
    if (point < 0) { this.readout.textContent = "The design has no such point."; return; }
    const found = sweep.get(series, point), { unit } = sweep.data.quantities[series.q];
    const plain = ["", "probability", "share"].includes(unit) ? "" : ` ${unit}`;
    this.readout.replaceChildren(h("div", {}, h("strong", {}, sweep.name(point))), h("div", {},
      sweep.data.failed[point] ? `failed: ${sweep.error(point)}`
        : found ? `${number(found.value)}${plain} [95 %: ${interval(found.low, found.high)}], n = ${whole(found.count)} (${found.method})`
          : "no number here"));
  }
  pointer(event, item, down) {
    const point = item?.datum?.point ?? -1;
    if (down && point >= 0) { this.hovered = -1; this.owner.select(point); return; }
    if (point !== this.hovered) this.hover(point);
  }
  hover(point) {
    this.hovered = point;
    this.describe(point >= 0 ? point : this.owner.point);
    this.owner.preview(point >= 0 ? point : this.owner.point);
  }
  left() { if (this.hovered >= 0) this.hover(-1); }
  key(key) {
    const { owner } = this, { sweep } = owner, vertical = key === "ArrowUp" || key === "ArrowDown";
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: 1, ArrowDown: -1, Home: -Infinity, End: Infinity }[key];
    if (step === undefined) return false;
    const d = vertical ? owner.y : owner.x, inside = (at, last) => Math.min(last, Math.max(0, at + step));
    this.hovered = -1;
    if (sweep.data.grid) owner.setCode(d, inside(owner.codes[d], sweep.sizes[d] - 1));
    else {
      const order = owner.order(d);
      owner.select(order[inside(order.indexOf(owner.point), order.length - 1)]);
    }
    return true;
  }
  table(raw) {
    const { sweep, x, y, series } = this.owner, show = raw ? (v) => v ?? "" : number;
    const X = sweep.data.dims[x], Y = sweep.data.dims[y];
    return {
      columns: [X.label, Y.label, series.title, "95 % low", "95 % high", "count", "method"],
      rows: this.rows.map((r) => [X.texts[X.codes[r.point]], Y.texts[Y.codes[r.point]], show(r.value), show(r.low), show(r.high), r.count ?? "", r.method]),
    };
  }
}
