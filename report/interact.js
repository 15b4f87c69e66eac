"use strict";
// What a person does with a chart: point, tap, step by arrow keys, drag to zoom, hide a series, keep it as SVG or TSV.
(() => {
  const { make, download, draw, svgNode, tip } = Consilience;

  const nearest = (hits, px, py) => {
    let best = null;
    let distance = 26;
    for (const hit of hits) {
      let far;
      if (hit.box) {
        const [left, top, right, bottom] = hit.box;
        if (px < left || px > right) continue;
        if (!hit.column && (py < top || py > bottom)) continue;
        far = 0.5;
      } else far = Math.hypot(hit.x - px, hit.y - py);
      if (far < distance) { best = hit; distance = far; }
    }
    return best;
  };

  const tsv = (spec) => {
    const rows = [["series", "label", "x", "y", "x_end", "y_end"]];
    for (const mark of spec.marks) {
      const [xs, ys] = [mark.x || mark.x0 || [], mark.y || mark.y0 || mark.low || []];
      const [xe, ye] = [mark.x1 || [], mark.y1 || mark.high || []];
      xs.forEach((value, i) => rows.push([mark.name, mark.labels?.[i] ?? "", value, ys[i], xe[i], ye[i]]));
      if (mark.type === "rule") rows.push(["threshold", mark.label, mark.axis === "x" ? mark.at : "", mark.axis === "y" ? mark.at : ""]);
      if (mark.type === "cells") mark.values.forEach((row, i) => row.forEach((value, j) => rows.push(["value", `${mark.rows[i]} × ${mark.columns[j]}`, j, i, value])));
    }
    return `${rows.map((row) => row.map((v) => String(v ?? "").replace(/[\t\r\n]+/g, " ")).join("\t")).join("\n")}\n`;
  };

  const KEPT_STYLES = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-linecap", "stroke-dasharray", "font-family", "font-size", "font-weight", "paint-order"];
  const standalone = (svg, spec, host) => {
    const copy = svg.cloneNode(true);
    const originals = [svg, ...svg.querySelectorAll("*")];
    [copy, ...copy.querySelectorAll("*")].forEach((target, i) => {
      const styles = getComputedStyle(originals[i]);
      for (const name of KEPT_STYLES) target.setAttribute(name, styles.getPropertyValue(name));
      target.removeAttribute("class");
    });
    const [width, height] = [Number(svg.getAttribute("width")), Number(svg.getAttribute("height"))];
    const ink = getComputedStyle(host);
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    copy.setAttribute("viewBox", `0 -40 ${width} ${height + 40}`);
    copy.setAttribute("height", height + 40);
    const paper = svgNode("rect", { x: 0, y: -40, width, height: height + 40, fill: getComputedStyle(document.body).backgroundColor });
    copy.prepend(paper);
    const head = svgNode("text", { x: 0, y: -24, fill: ink.color, "font-family": ink.fontFamily, "font-size": 13, "font-weight": 600 }, copy);
    head.textContent = spec.title;
    let left = 0;
    for (const item of host.parentElement.querySelectorAll(".legend button")) {
      const key = svgNode("text", { x: left, y: -7, fill: getComputedStyle(item.querySelector("i")).backgroundColor, "font-family": ink.fontFamily, "font-size": 12 }, copy);
      key.textContent = `● ${item.textContent}`;
      left += 7 * item.textContent.length + 26;
    }
    return new XMLSerializer().serializeToString(copy);
  };

  const legend = (host, spec, state, redraw) => {
    const names = new Map();
    for (const mark of spec.marks) if (mark.name && mark.type !== "rule" && !names.has(mark.name)) names.set(mark.name, mark);
    if (names.size < 2) return;
    const bar = make("div", { class: "legend", role: "group", "aria-label": "Series; press to hide or show" });
    for (const [name, mark] of names) {
      const button = make("button", { type: "button", "aria-pressed": "true" }, make("i", { class: `key k-${mark.colour} ${mark.shape || ""}` }), name);
      button.addEventListener("click", () => {
        const hide = !state.hidden.has(name);
        state.hidden[hide ? "add" : "delete"](name);
        button.setAttribute("aria-pressed", String(!hide));
        redraw();
      });
      bar.append(button);
    }
    host.before(bar);
  };

  const start = (figure) => {
    const host = figure.querySelector(".plot");
    const spec = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
    const state = { hidden: new Set(), zoom: null, at: -1 };
    const zoomable = spec.x.scale !== "category" || spec.y.scale !== "category";
    const spoken = make("p", { class: "sr-only", "aria-live": "polite" });
    const tools = figure.querySelector(".tools");
    const button = (text, act, title) => {
      const made = make("button", { type: "button", class: "quiet", title }, text);
      made.addEventListener("click", act);
      tools.append(made);
      return made;
    };
    let chart = null;
    let drawnWidth = 0;
    const reset = button("Reset zoom", () => { state.zoom = null; redraw(); }, "Back to the whole picture (Escape)");
    button("SVG", () => download(`${spec.key}.svg`, standalone(chart.svg, spec, host), "image/svg+xml"), "Download this picture");
    button("Data", () => download(`${spec.key}.tsv`, tsv(spec), "text/tab-separated-values"), "Download the numbers of this picture");
    figure.append(spoken);

    const point = (hit, speak) => {
      chart.svg.querySelector(".pointed")?.remove();
      if (!hit) { tip.hide(); return; }
      const attributes = hit.box
        ? { x: hit.box[0], y: hit.box[1], width: Math.max(1, hit.box[2] - hit.box[0]), height: Math.max(1, hit.box[3] - hit.box[1]) }
        : { cx: hit.x, cy: hit.y, r: 6.5 };
      svgNode(hit.box ? "rect" : "circle", { ...attributes, class: "pointed" }, chart.svg);
      const box = chart.svg.getBoundingClientRect();
      tip.show(hit.text, box.left + hit.x, box.top + hit.y);
      if (speak) spoken.textContent = hit.text.join(", ");
    };

    const zoomTo = (one, other) => {
      const range = (which, from, to) => {
        if (spec[which].scale === "category") return null;
        const ends = [chart[which].back(from), chart[which].back(to)].sort((a, b) => a - b);
        return Math.abs(to - from) < 8 ? chart[which].domain : ends;
      };
      state.zoom = { x: range("x", one.x, other.x), y: range("y", one.y, other.y) };
      redraw();
    };

    const listen = () => {
      const { svg } = chart;
      const place = (event) => { const box = svg.getBoundingClientRect(); return { x: event.clientX - box.left, y: event.clientY - box.top }; };
      let from = null;
      let drag = null;
      svg.addEventListener("pointerdown", (event) => {
        const at = place(event);
        if (event.pointerType !== "mouse") { point(nearest(chart.hits, at.x, at.y)); return; }
        if (event.button === 0 && zoomable) { from = at; svg.setPointerCapture(event.pointerId); }
      });
      svg.addEventListener("pointermove", (event) => {
        const at = place(event);
        if (!from) { if (event.pointerType === "mouse") point(nearest(chart.hits, at.x, at.y)); return; }
        if (Math.hypot(at.x - from.x, at.y - from.y) < 6) return;
        tip.hide();
        drag = drag || svgNode("rect", { class: "drag" }, svg);
        const { frame } = chart;
        const flat = spec.y.scale === "category";
        const thin = spec.x.scale === "category";
        drag.setAttribute("x", thin ? frame.left : Math.min(from.x, at.x));
        drag.setAttribute("y", flat ? frame.top : Math.min(from.y, at.y));
        drag.setAttribute("width", thin ? frame.right - frame.left : Math.abs(at.x - from.x));
        drag.setAttribute("height", flat ? frame.bottom - frame.top : Math.abs(at.y - from.y));
      });
      svg.addEventListener("pointerup", (event) => { if (from && drag) zoomTo(from, place(event)); from = null; drag = null; });
      svg.addEventListener("pointerleave", () => { if (!from) point(null); });
      svg.addEventListener("dblclick", () => { state.zoom = null; redraw(); });
      svg.addEventListener("blur", () => point(null));
      svg.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        if (step && chart.hits.length) {
          event.preventDefault();
          const byPlace = [...chart.hits].sort((a, b) => a.x - b.x || a.y - b.y);
          state.at = (state.at + step + byPlace.length) % byPlace.length;
          point(byPlace[state.at], true);
        } else if (event.key === "+" && zoomable) {
          const { frame } = chart;
          const [w, h] = [(frame.right - frame.left) / 4, (frame.bottom - frame.top) / 4];
          zoomTo({ x: frame.left + w, y: frame.bottom - h }, { x: frame.right - w, y: frame.top + h });
          host.querySelector("svg").focus();
        } else if (event.key === "Escape") {
          point(null);
          if (state.zoom) { state.zoom = null; redraw(); host.querySelector("svg").focus(); }
        }
      });
    };

    const redraw = () => {
      tip.hide();
      drawnWidth = host.clientWidth;
      chart = draw(host, spec, state);
      reset.hidden = !state.zoom;
      listen();
    };
    legend(host, spec, state, redraw);
    redraw();
    new ResizeObserver(() => { if (Math.abs(host.clientWidth - drawnWidth) > 1) redraw(); }).observe(host);
  };

  const waiting = new Set(document.querySelectorAll("figure[data-figure]"));
  const begin = (figure) => { if (waiting.delete(figure)) start(figure); };
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) { near.unobserve(entry.target); begin(entry.target); }
  }, { rootMargin: "600px 0px" });
  for (const figure of waiting) near.observe(figure);
  window.addEventListener("beforeprint", () => { for (const figure of [...waiting]) begin(figure); });
})();
