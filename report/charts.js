"use strict";
// Charts: axes and marks (see figures.py) to SVG, drawn when they come near the screen.
(() => {
  const NS = "http://www.w3.org/2000/svg";
  const { number } = Consilience;
  let counter = 0;

  const node = (name, attributes, parent) => {
    const made = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (parent) parent.append(made);
    return made;
  };
  const lengthOf = (text) => [...text].reduce((sum, letter) => sum + (/[A-Z]/.test(letter) ? 7.3 : 6.1), 0);
  const label = (text, attributes, parent) => { const made = node("text", attributes, parent); made.textContent = text; return made; };

  // ---- scales ----
  const extent = (spec, marks, which) => {
    const axis = spec[which];
    if (axis.scale === "category") return [-0.6, axis.categories.length - 0.4];
    let low = Infinity;
    let high = -Infinity;
    const see = (values) => {
      for (const value of values || []) {
        if (value === null || (axis.scale === "log" && value <= 0)) continue;
        if (value < low) low = value;
        if (value > high) high = value;
      }
    };
    for (const mark of marks) {
      see(mark[which]); see(mark[`${which}0`]); see(mark[`${which}1`]);
      if (mark.type === "band" && which === "y") { see(mark.low); see(mark.high); }
    }
    if (axis.domain) return [...axis.domain];
    if (low > high) return axis.scale === "log" ? [1, 10] : [0, 1];
    if (axis.zero && low > 0 && axis.scale !== "log") low = 0;
    const span = high - low || Math.abs(high) || 1;
    for (const mark of marks) { // a threshold is shown when that does not squeeze the data
      if (mark.type !== "rule" || mark.axis !== which || (axis.scale === "log" && mark.at <= 0)) continue;
      if (mark.at < low && low - mark.at < 0.6 * span) low = mark.at;
      if (mark.at > high && mark.at - high < 0.6 * span) high = mark.at;
    }
    if (axis.scale === "log") { const pad = (high / low) ** 0.03 || 1.1; return [low / pad, high * pad]; }
    const pad = 0.04 * (high - low || span);
    return [axis.zero && low >= 0 ? low : low - pad, high + pad];
  };

  const scale = (axis, domain, from, to) => {
    const t = axis.scale === "log" ? Math.log10 : (value) => value;
    const [a, b] = domain.map(t);
    const place = (value) => from + ((t(value) - a) / (b - a || 1)) * (to - from);
    place.back = (pixel) => {
      const value = a + ((pixel - from) / (to - from)) * (b - a);
      return axis.scale === "log" ? 10 ** value : value;
    };
    place.domain = domain;
    return place;
  };

  const ticks = (axis, [low, high], room) => {
    if (axis.scale === "category") return axis.categories.map((_, i) => i);
    const wanted = Math.max(2, room);
    if (axis.scale === "log") {
      const decades = Math.log10(high / low);
      const steps = decades < wanted / 3 ? [1, 2, 5] : decades < 1.2 ? [1, 2, 3, 5] : [1];
      const found = [];
      const every = Math.max(1, Math.ceil(decades / wanted));
      for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += steps.length > 1 ? 1 : every) {
        for (const step of steps) { const value = step * 10 ** power; if (value >= low && value <= high) found.push(value); }
      }
      if (found.length > 1) return found;
    }
    const raw = (high - low) / wanted;
    const power = 10 ** Math.floor(Math.log10(raw));
    let step = [1, 2, 5, 10].find((factor) => factor * power >= raw) * power;
    if (axis.format === "integer") step = Math.max(1, step);
    const found = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i += 1) found.push(Number((i * step).toPrecision(12)));
    return found;
  };

  const tickText = (axis, value) => {
    if (axis.scale === "category") return axis.categories[value];
    if (axis.format === "percent") return `${Number((100 * value).toPrecision(3))} %`;
    const size = Math.abs(value);
    if (size >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`;
    if (size >= 1e4) return `${Number((value / 1e3).toPrecision(3))}k`;
    if (size !== 0 && size < 1e-3) return value.toExponential(0);
    return size >= 1000 ? number(value) : String(Number(value.toPrecision(4)));
  };
  const valueText = (axis, value) => {
    if (axis.scale === "category") return axis.categories[Math.round(value)] ?? "";
    return axis.format === "percent" ? `${Number((100 * value).toPrecision(3))} %` : number(value);
  };

  // ---- marks: each draws itself and adds what can be pointed at ----
  const side = (mark, name) => [mark[`${name}0`], mark[`${name}1`]];
  const painters = {
    boxes({ mark, group, x, y, spec, hits }) {
      const [[x0, x1], [y0, y1]] = [side(mark, "x"), side(mark, "y")];
      const parts = [];
      x0.forEach((_, i) => {
        const [left, right] = [x(x0[i]), x(x1[i])].sort((a, b) => a - b);
        const [top, bottom] = [y(y0[i]), y(y1[i])].sort((a, b) => a - b);
        const gap = right - left > 4 && spec.y.scale !== "category" ? 0.5 : 0;
        if (bottom - top > 0.01 && right - left > 0.01) parts.push(`M${(left + gap).toFixed(1)} ${top.toFixed(1)}H${(right - gap).toFixed(1)}V${bottom.toFixed(1)}H${(left + gap).toFixed(1)}Z`);
        const text = mark.labels.length ? [mark.labels[i]] : [`${number(y1[i])} ${mark.name}`, `${valueText(spec.x, x0[i])} to ${valueText(spec.x, x1[i])}`];
        hits.push({ box: [left, top, right, bottom], column: spec.y.scale !== "category", x: (left + right) / 2, y: top, text });
      });
      node("path", { d: parts.join(""), class: `fill k-${mark.colour}` }, group);
    },
    points({ mark, group, x, y, spec, hits, names, frame }) {
      const radius = mark.x.length > 2000 ? 1.8 : mark.x.length > 300 ? 2.6 : 3.8;
      const parts = [];
      mark.x.forEach((value, i) => {
        if (value === null || mark.y[i] === null) return;
        const [px, py] = [x(value), y(mark.y[i])];
        const at = `${px.toFixed(1)} ${py.toFixed(1)}`;
        if (mark.shape === "cross") parts.push(`M${at}m-3.6 -3.6l7.2 7.2m0 -7.2l-7.2 7.2`);
        else if (mark.shape === "ring") parts.push(`M${at}m-${radius} 0a${radius} ${radius} 0 1 0 ${2 * radius} 0a${radius} ${radius} 0 1 0 -${2 * radius} 0`);
        else parts.push(`M${at}h0`);
        if (px < frame.left - 1 || px > frame.right + 1 || py < frame.top - 1 || py > frame.bottom + 1) return;
        const text = mark.labels[i] ? [mark.labels[i]] : [mark.name];
        if (spec.x.scale !== "category") text.push(`${spec.x.label || "x"}: ${valueText(spec.x, value)}`);
        if (spec.y.scale !== "category") text.push(`${spec.y.label || "y"}: ${valueText(spec.y, mark.y[i])}`);
        hits.push({ x: px, y: py, text });
        if (mark.named) names.push({ x: px, y: py, text: mark.labels[i] || mark.name });
      });
      const shape = mark.shape === "dot" ? { class: `dots k-${mark.colour}`, "stroke-width": 2 * radius } : { class: `outline k-${mark.colour}`, "stroke-width": 1.6 };
      node("path", { d: parts.join(""), ...shape }, group);
    },
    line({ mark, group, x, y, spec, hits }) {
      let pen = "M";
      let path = "";
      mark.x.forEach((value, i) => {
        if (value === null || mark.y[i] === null) { pen = "M"; return; }
        path += `${pen}${x(value).toFixed(1)} ${y(mark.y[i]).toFixed(1)}`;
        pen = "L";
        hits.push({ x: x(value), y: y(mark.y[i]), text: [mark.name, `${spec.x.label}: ${valueText(spec.x, value)}`, `${spec.y.label}: ${valueText(spec.y, mark.y[i])}`] });
      });
      node("path", { d: path, class: `line k-${mark.colour}${mark.dashed ? " dashed" : ""}` }, group);
    },
    band({ mark, group, x, y }) {
      const ahead = mark.x.map((value, i) => `${x(value).toFixed(1)} ${y(mark.high[i]).toFixed(1)}`);
      const back = mark.x.map((value, i) => `${x(value).toFixed(1)} ${y(mark.low[i]).toFixed(1)}`).reverse();
      node("path", { d: `M${[...ahead, ...back].join("L")}Z`, class: `band k-${mark.colour}` }, group);
    },
    segments({ mark, group, x, y }) {
      const path = mark.x0.map((_, i) => (mark.x0[i] === null || mark.x1[i] === null ? "" : `M${x(mark.x0[i]).toFixed(1)} ${y(mark.y0[i]).toFixed(1)}L${x(mark.x1[i]).toFixed(1)} ${y(mark.y1[i]).toFixed(1)}`));
      node("path", { d: path.join(""), class: `segment k-${mark.colour}` }, group);
    },
    cells({ mark, group, x, y, hits }) {
      const largest = Math.max(...mark.values.flat().filter((v) => v !== null).map(Math.abs), 1e-300);
      mark.values.forEach((row, i) => row.forEach((value, j) => {
        const [left, right, top, bottom] = [x(j - 0.5), x(j + 0.5), y(i - 0.5), y(i + 0.5)];
        if (value !== null) {
          const colour = mark.diverging ? (value < 0 ? "control" : "case") : "accent";
          node("rect", { x: left, y: top, width: Math.max(0.5, right - left - 0.5), height: Math.max(0.5, bottom - top - 0.5), class: `fill k-${colour}`, "fill-opacity": (Math.abs(value) / largest).toFixed(3) }, group);
        }
        hits.push({ box: [left, top, right, bottom], x: (left + right) / 2, y: top, text: [`${mark.rows[i]} × ${mark.columns[j]}`, number(value)] });
      }));
    },
    rule({ mark, group, x, y, spec, frame, place }) {
      const across = mark.axis === "x" ? x : y;
      const at = across(mark.at);
      const [first, last] = mark.axis === "x" ? [frame.left, frame.right] : [frame.top, frame.bottom];
      if (mark.shade) {
        const low = (mark.shade === "below") === (mark.axis === "x");
        const edge = Math.max(first, Math.min(last, at));
        const [from, to] = low ? [first, edge] : [edge, last];
        const box = mark.axis === "x" ? { x: from, width: Math.max(0, to - from), y: frame.top, height: frame.bottom - frame.top } : { y: from, height: Math.max(0, to - from), x: frame.left, width: frame.right - frame.left };
        node("rect", { ...box, class: "refused" }, group);
      }
      if (at < first - 0.5 || at > last + 0.5) return;
      const ends = mark.axis === "x" ? { x1: at, x2: at, y1: frame.top, y2: frame.bottom } : { y1: at, y2: at, x1: frame.left, x2: frame.right };
      node("line", { ...ends, class: "rule" }, group);
      if (!mark.label) return;
      if (mark.axis === "x") {
        const right = at > (frame.left + frame.right) / 2;
        label(mark.label, { x: at + (right ? -4 : 4), y: frame.top + 10 + 13 * place, "text-anchor": right ? "end" : "start", class: "rule-label" }, group);
      } else label(mark.label, { x: frame.right - 2, y: at - 4, "text-anchor": "end", class: "rule-label" }, group);
    },
  };
  const LAYERS = ["band", "cells", "boxes", "segments", "line", "points", "rule"];

  // names beside points: right, left, above or below, wherever they hide neither a name nor a point
  const placeNames = (names, group, frame) => {
    const taken = names.map(({ x, y }) => [x - 5, y - 5, x + 5, y + 5]);
    const meets = (a) => taken.some((b) => a[0] < b[2] && a[2] > b[0] && a[1] < b[3] && a[3] > b[1]);
    for (const { x, y, text } of names) {
      const width = lengthOf(text);
      const places = [[7, 4], [-7 - width, 4], [-width / 2, -8], [-width / 2, 17], [7, -7], [7, 15], [-7 - width, -7], [-7 - width, 15]];
      for (const [right, down] of places) {
        const box = [x + right, y + down - 10, x + right + width, y + down + 3];
        if (box[0] < frame.left || box[2] > frame.right || box[1] < frame.top || box[3] > frame.bottom || meets(box)) continue;
        taken.push(box);
        label(text, { x: box[0].toFixed(1), y: (y + down).toFixed(1), class: "point-name" }, group);
        break;
      }
    }
  };

  // ---- one chart ----
  const cut = (text, room) => (text.length * 6.3 <= room ? text : `${text.slice(0, Math.max(3, Math.floor(room / 6.3) - 1))}…`);

  Consilience.draw = (host, spec, state) => {
    const width = Math.max(220, Math.floor(host.clientWidth));
    const height = spec.square ? Math.min(width, 420) : spec.height;
    const shown = spec.marks.filter((mark) => !state.hidden.has(mark.name));
    const domains = { x: state.zoom?.x || extent(spec, shown, "x"), y: state.zoom?.y || extent(spec, shown, "y") };
    const yTicks = ticks(spec.y, domains.y, Math.floor(height / 55));
    const yWidth = Math.min(spec.y.scale === "category" ? 0.38 * width : 80, Math.max(0, ...yTicks.map((v) => Math.max(6.3 * tickText(spec.y, v).length, lengthOf(tickText(spec.y, v))))));
    const frame = { left: Math.ceil(yWidth) + 12, right: width - 10, top: spec.y.label ? 22 : 8, bottom: height - (spec.x.label ? 40 : 24) };
    const x = scale(spec.x, domains.x, frame.left, frame.right);
    const y = spec.y.scale === "category" ? scale(spec.y, domains.y, frame.top, frame.bottom) : scale(spec.y, domains.y, frame.bottom, frame.top);

    const svg = node("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", tabindex: 0, "aria-label": `${spec.title}. ${host.dataset.alt || ""} Arrow keys step through the values.` });
    const clip = `plot-${(counter += 1)}`;
    node("rect", { x: frame.left - 5, y: frame.top - 4, width: frame.right - frame.left + 10, height: frame.bottom - frame.top + 8 }, node("clipPath", { id: clip }, node("defs", {}, svg)));
    const axes = node("g", { class: "axes" }, svg);
    for (const value of yTicks) {
      const at = y(value);
      if (spec.y.scale !== "category") node("line", { x1: frame.left, x2: frame.right, y1: at, y2: at, class: value === 0 ? "base" : "grid" }, axes);
      label(cut(tickText(spec.y, value), frame.left - 10), { x: frame.left - 7, y: at + 4, "text-anchor": "end" }, axes);
    }
    const longest = spec.x.scale === "category" ? 70 : 62;
    for (const value of ticks(spec.x, domains.x, Math.floor((frame.right - frame.left) / longest))) {
      const at = x(value);
      node("line", { x1: at, x2: at, y1: frame.bottom, y2: frame.bottom + 4, class: "tick" }, axes);
      label(tickText(spec.x, value), { x: at, y: frame.bottom + 16, "text-anchor": "middle" }, axes);
    }
    node("line", { x1: frame.left, x2: frame.right, y1: frame.bottom, y2: frame.bottom, class: "base" }, axes);
    if (spec.x.label) label(`${spec.x.label} →`, { x: frame.right, y: height - 5, "text-anchor": "end", class: "axis-label" }, axes);
    if (spec.y.label) label(`↑ ${spec.y.label}`, { x: 0, y: 11, class: "axis-label" }, axes);

    const hits = [];
    const names = [];
    const group = node("g", { "clip-path": `url(#${clip})` }, svg);
    const rules = shown.filter((mark) => mark.type === "rule");
    for (const layer of LAYERS) {
      for (const mark of shown) {
        if (mark.type === layer) painters[layer]({ mark, group, x, y, spec, hits, names, frame, place: rules.indexOf(mark) });
      }
    }
    placeNames(names, group, frame);
    svg.dataset.marks = hits.length;
    host.replaceChildren(svg);
    return { svg, frame, x, y, hits };
  };
  Consilience.svgNode = node;
})();
