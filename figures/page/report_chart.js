"use strict";
// A chart: a Vega-Lite specification drawn by the library above, with a keyboard, what
// is under the cursor, a table and a download.

const SUPER = "⁰¹²³⁴⁵⁶⁷⁸⁹";
const raised = (n) => String(n).replace("-", "⁻").replace(/\d/g, (c) => SUPER[c]);

function number(value, digits = 4) {
  if (value === null || value === undefined || Number.isNaN(value)) return "—";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  // Near certainty the distance to 1 is the number.
  if (value > 0.99 && value < 1) {
    const places = Math.min(6, 2 - Math.floor(Math.log10(1 - value)));
    return String(Number(value.toFixed(places)));
  }
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e6) {
    return Number(value.toPrecision(digits)).toLocaleString("en", { maximumSignificantDigits: digits });
  }
  const [mantissa, power] = value.toExponential(digits - 1).split("e");
  return `${Number(mantissa)}·10${raised(Number(power))}`;
}
const whole = (n) => (n === null || n === undefined ? "—" : number(n, 12));
const interval = (low, high) => (low === null || high === null || low === undefined
  ? "no interval" : `${number(low)} … ${number(high)}`);

function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function tableOf(columns, rows) {
  return h("table", {},
    h("thead", {}, h("tr", {}, ...columns.map((c) => h("th", { scope: "col" }, c)))),
    h("tbody", {}, ...rows.map(([first, ...rest]) => h("tr", {},
      h("th", { scope: "row" }, String(first)), ...rest.map((cell) => h("td", {}, String(cell)))))));
}

// Columns, as they are in the page's data, as the rows that charts draw.
function rowsOf(columns) {
  const names = Object.keys(columns);
  return (columns[names[0]] || []).map((_, i) => Object.fromEntries(names.map((n) => [n, columns[n][i]])));
}

let charts = 0;

class Chart {
  constructor(host, { keys, label }) {
    const id = `chart${++charts}`;
    this.heading = h("h3", { id });
    this.says = h("p", { class: "says" });
    this.note = h("p", { class: "note" });
    this.drawing = h("div", { class: "drawing" });
    this.area = h("div", {
      class: "chart", tabindex: "0", role: "application", "aria-labelledby": id,
      "aria-describedby": `${id}keys`, "aria-roledescription": label,
    }, this.drawing);
    this.readout = h("div", { class: "readout", "aria-live": "polite" });
    this.body = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-labelledby": id });
    this.details = h("details", { ontoggle: () => this.fill() }, h("summary", {}, "Table of this chart"), this.body);
    host.append(h("figure", {}, h("figcaption", {}, this.heading, this.says), this.area,
      h("p", { class: "hidden", id: `${id}keys` }, keys), this.readout, this.note,
      h("p", {}, h("button", { type: "button", onclick: () => this.save() }, "CSV of this chart")),
      this.details));
    this.area.addEventListener("keydown", (e) => {
      if (!e.altKey && !e.ctrlKey && !e.metaKey && this.key(e.key)) e.preventDefault();
    });
    this.area.addEventListener("pointerleave", () => this.left());
    this.at = null;
  }
  // The view is made again only if the specification is another; rows are exchanged.
  show(spec, rows) {
    const key = JSON.stringify(spec);
    this.rows = rows;
    if (key !== this.spec) {
      this.spec = key;
      this.view?.finalize();
      // Vega's expressions are interpreted: the page's policy forbids their compilation.
      const runtime = vegaCharts.parse(vegaCharts.compile(spec, { config: this.constructor.config }).spec, null, { ast: true });
      this.view = new vegaCharts.View(runtime, {
        renderer: "svg", container: this.drawing, expr: vegaCharts.expressionInterpreter, logLevel: 1,
      });
      this.view.addEventListener("pointermove", (e, item) => this.pointer(e, item, false));
      this.view.addEventListener("pointerdown", (e, item) => this.pointer(e, item, true));
    }
    this.view.data("rows", rows).signal("at", this.at).run();
    if (this.details.open) this.fill();
  }
  mark(at) { this.at = at; this.view.signal("at", at).run(); }
  left() {}
  fill() {
    if (!this.details.open) { this.body.replaceChildren(); return; }
    const { columns, rows } = this.table(false);
    this.body.replaceChildren(tableOf(columns, rows));
  }
  save() {
    const { columns, rows } = this.table(true);
    const name = this.heading.textContent.replace(/[^A-Za-z0-9]+/g, "-").toLowerCase();
    download(`${name}.csv`, [csvLine(columns), ...rows.map(csvLine)], "text/csv");
  }
}

// Series over an axis; `about` has title, says, note, spec, rows, x, and spread.
class LineChart extends Chart {
  constructor(host, about) {
    super(host, { label: "line chart", keys: "Left and right arrow: next number along the axis. Home, End: first, last." });
    this.set(about);
  }
  set(about) {
    this.about = about;
    this.heading.textContent = about.title;
    this.says.textContent = about.says;
    this.note.textContent = about.note;
    const drawn = about.rows.filter((r) => r.kind !== "reference" && r.kind !== "target");
    this.places = [...new Set(drawn.map((r) => r.x))];
    if (typeof this.places[0] === "number") this.places.sort((a, b) => a - b);
    this.at = about.cursor ?? (this.places.includes(this.at) ? this.at : null);
    this.show(about.spec, about.rows);
    this.read(this.at);
  }
  pointer(event) {
    const { left } = this.drawing.firstChild.getBoundingClientRect();
    const scale = this.view.scale("x"), x = event.clientX - left - this.view.padding().left - this.view.origin()[0];
    let best = null, least = Infinity;
    for (const place of this.places) {
      const far = Math.abs(scale(place) - x);
      if (far < least) [best, least] = [place, far];
    }
    if (best !== null && best !== this.at) { this.mark(best); this.read(best); }
  }
  key(key) {
    const now = this.places.indexOf(this.at), last = this.places.length - 1;
    // Smooth curves have hundreds of places: a key press is a visible step.
    const step = Math.max(1, Math.round(this.places.length / 60));
    const to = { ArrowLeft: Math.max(0, now - step), ArrowRight: Math.min(last, now + step), Home: 0, End: last }[key];
    if (to === undefined || last < 0) return false;
    this.mark(this.places[to]);
    this.read(this.at);
    return true;
  }
  // What is at a place: every series that has a number there, or nearest to it.
  read(at) {
    this.readout.classList.toggle("idle", at === null);
    if (at === null) { this.readout.textContent = "Point at the chart, or move with the arrow keys, for its numbers."; return; }
    const lines = [h("div", {}, h("strong", {}, `${this.about.x}: ${typeof at === "number" ? number(at, 6) : at}`))];
    const bySeries = new Map();
    for (const row of this.rows) {
      if (row.kind === "run" || row.kind === "target") continue;
      const other = row.x !== at && (row.kind !== "line" || Math.abs(row.x - at) >= Math.abs((bySeries.get(row.series)?.[0].x ?? Infinity) - at));
      if (other) continue;
      if (row.kind === "line") bySeries.set(row.series, [row]);
      else bySeries.set(row.series, [...(bySeries.get(row.series) || []), row]);
    }
    for (const [series, [row, ...more]] of bySeries) {
      let line = `${series}: ${number(row.value)}`;
      if (row.low !== null && row.low !== undefined) line += ` [${this.about.spread || "95 %"}: ${interval(row.low, row.high)}]`;
      if (row.count !== null && row.count !== undefined) line += `, n = ${whole(row.count)}`;
      if (row.method) line += ` (${row.method})`;
      lines.push(h("div", {}, line));
      if (more.length) lines.push(h("div", {}, `and ${more.length} more at this place, see the table`));
    }
    this.readout.replaceChildren(...lines);
  }
  table(raw) {
    const show = raw ? (v) => v ?? "" : (v) => (typeof v === "string" ? v : number(v)), spread = this.about.spread || "95 %";
    return {
      columns: ["series", this.about.x, "value", `${spread} low`, `${spread} high`, "count", "method"],
      rows: this.rows.filter((r) => r.kind !== "run").map((r) => [r.series, show(r.x), show(r.value), show(r.low ?? null),
        show(r.high ?? null), raw ? r.count ?? "" : whole(r.count), r.method ?? ""]),
    };
  }
}
