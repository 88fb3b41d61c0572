"use strict";
// Numbers, texts and scales: what every chart of the page needs.

// Viridis at sixteenths: monotone in lightness, readable by the colour-blind and in grey.
const VIRIDIS = ["#440154", "#48186a", "#472d7b", "#424086", "#3b528b", "#33638d",
  "#2c728e", "#26828e", "#21918c", "#1fa088", "#28ae80", "#3fbc73", "#5ec962",
  "#84d44b", "#addc30", "#d8e219", "#fde725"];
// As in figures/style.py: a grey print tells series apart by dashes and markers.
const DASHES = ["", "8 2.4", "8 2.4 1.6 2.4", "2 2", "5 2 2 2 2 2", "12 3", "3 3"];
const REFERENCE_DASHES = ["6 3", "2 2.5", "6 3 1.5 3", "11 3"];
const MARKERS = ["circle", "square", "up", "diamond", "down", "plus", "cross"];
const LEVELS = 64;
const UNIT_STEP = 0.01; // where the accuracy axis turns from logarithmic to linear

const SCALES = {
  linear: { to: (v) => v, from: (p) => p, has: () => true },
  text: { to: (v) => v, from: (p) => p, has: () => true },
  log: { to: Math.log10, from: (p) => 10 ** p, has: (v) => v > 0 },
  log2: { to: Math.log2, from: (p) => 2 ** p, has: (v) => v > 0 },
  logit: {
    to: (v) => Math.log(v / (1 - v)), from: (p) => 1 / (1 + Math.exp(-p)),
    has: (v) => v > 0 && v < 1,
  },
  accuracy: {
    to: (v) => -Math.asinh((1 - v) / UNIT_STEP),
    from: (p) => 1 - UNIT_STEP * Math.sinh(-p), has: (v) => v <= 1,
  },
};

// ---- text -------------------------------------------------------------------------

const SUPER = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶",
  7: "⁷", 8: "⁸", 9: "⁹" };
const raised = (n) => String(n).replace(/[-\d]/g, (c) => SUPER[c]);

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
    return Number(value.toPrecision(digits)).toLocaleString("en", {
      maximumSignificantDigits: digits,
    });
  }
  const [mantissa, power] = value.toExponential(digits - 1).split("e");
  return `${Number(mantissa)}·10${raised(Number(power))}`;
}
const whole = (n) => (n === null || n === undefined ? "—" : number(n, 12));

function power(value) {
  const at = Math.round(Math.log10(value));
  return value >= 1e-2 && value < 1e5 ? number(value, 3) : `10${raised(at)}`;
}

function tickText(scale, value) {
  if (scale === "log2") {
    const p = Math.log2(value);
    return Math.abs(p - Math.round(p)) < 1e-5 ? `2${raised(Math.round(p))}` : number(value, 3);
  }
  if (scale === "log") {
    const p = Math.log10(value);
    return Math.abs(p - Math.round(p)) < 1e-9 ? power(value) : number(value, 2);
  }
  if (scale === "logit" && value > 0.99999) return `1−10${raised(Math.round(Math.log10(1 - value)))}`;
  if (scale === "logit" && value < 1e-3) return power(value);
  return number(value, 6);
}

const esc = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const interval = (low, high) =>
  low === null || high === null || low === undefined ? "no interval"
    : `${number(low)} … ${number(high)}`;

// ---- scales -----------------------------------------------------------------------

function ticks(scale, low, high, most) {
  if (scale === "linear") {
    const raw = (high - low) / most;
    const base = 10 ** Math.floor(Math.log10(raw));
    const step = base * [1, 2, 5, 10].find((m) => m * base >= raw * 0.999);
    const found = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) {
      found.push(Number((i * step).toPrecision(12)));
    }
    return found;
  }
  if (scale === "log" || scale === "log2") {
    const base = scale === "log" ? 10 : 2;
    const from = Math.log(low) / Math.log(base), to = Math.log(high) / Math.log(base);
    const every = Math.max(1, Math.ceil((to - from) / most));
    const steps = scale === "log" && to - from < 1.7 ? [1, 2, 5]
      : scale === "log" && to - from < 3 && most > 6 ? [1, 3] : [1];
    const found = [];
    for (let p = Math.floor(from); p <= to; p++) {
      if (p % every) continue;
      for (const m of steps) {
        const value = Number((m * base ** p).toPrecision(12));
        if (value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9)) found.push(value);
      }
    }
    // Within less than an octave or so no power falls inside.
    return found.length > 1 ? found : ticks("linear", low, high, most);
  }
  const tails = [...Array(15).keys()].map((k) => 10 ** -(k + 1));
  const preferred = scale === "logit"
    ? [0.5, ...tails.flatMap((t) => [t, 1 - t]), 0.2, 0.8]
    : [1, 0.99, 0.9, 0.5, 0.999, 0.1, 0.95, 0.8, 0.98, 0.995, 0];
  const { to } = SCALES[scale];
  const gap = (to(high) - to(low)) / most / 1.3;
  const kept = [];
  for (const tick of preferred) {
    const inside = tick >= low && tick <= high;
    if (inside && kept.every((k) => Math.abs(to(k) - to(tick)) >= gap)) kept.push(tick);
  }
  return kept;
}

function span(values, scale, pad = 0.05) {
  const { to, from, has } = SCALES[scale];
  let low = Infinity, high = -Infinity;
  for (const v of values) {
    if (v === null || !Number.isFinite(v) || !has(v)) continue;
    const p = to(v);
    if (p < low) low = p;
    if (p > high) high = p;
  }
  if (low > high) [low, high] = scale === "logit" ? [-2.2, 2.2] : [to(0.1), to(1)];
  let room = (high - low) * pad;
  if (high === low) room = scale === "linear" ? Math.abs(high) * 0.1 || 0.5 : 0.5;
  return [from(low - room), from(high + room)];
}

// Where an unseen event (share 0 or 1) is drawn: at the end of the interval that tells.
function limitOf(series, i, scale) {
  const v = series.value[i];
  if (v === null || !series.low) return null;
  const end = v <= 0 && (scale === "log" || scale === "logit") ? series.high[i]
    : v >= 1 && scale === "logit" ? series.low[i] : null;
  return end !== null && end > 0 && end < 1 ? { end, up: v >= 1 } : null;
}
