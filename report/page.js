"use strict";
// The page itself: theme, current place in the navigation, folded parts in print, downloads, one tooltip.
const Consilience = {};

(() => {
  const root = document.documentElement;
  root.classList.add("js");

  Consilience.make = (name, attributes = {}, ...children) => {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined) node.setAttribute(key, value);
    }
    node.append(...children);
    return node;
  };

  Consilience.download = (filename, text, type = "text/plain") => {
    const address = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
    const link = Consilience.make("a", { href: address, download: filename });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  };

  // the same words as cells.py
  const grouped = (text) => {
    const [whole, rest] = text.split(".");
    return whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",") + (rest ? `.${rest}` : "");
  };
  Consilience.number = (value) => {
    if (value === null || value === undefined || !Number.isFinite(value)) return "–";
    const size = Math.abs(value);
    if (size >= 1e15) return value.toExponential(2);
    if (Number.isInteger(value)) return grouped(String(value));
    if (size >= 1000) return grouped(value.toFixed(0));
    if (size < 1e-3) return value.toExponential(2).replace(/e([+-])(\d)$/, "e$10$2");
    return String(Number(value.toFixed(Math.max(0, 3 - Math.floor(Math.log10(size))))));
  };
  Consilience.bytes = (size) => {
    const units = ["B", "kB", "MB", "GB", "TB"];
    let value = size;
    let place = 0;
    while (value >= 1000 && place < 4) { value /= 1000; place += 1; }
    return `${value.toFixed(place === 0 || value >= 100 ? 0 : 1)} ${units[place]}`;
  };

  // theme: automatic (the system's), light, dark
  const themes = ["auto", "light", "dark"];
  const names = { auto: "Automatic", light: "Light", dark: "Dark" };
  const button = document.getElementById("theme");
  const remember = (value) => { try { localStorage.setItem("consilience-theme", value); } catch { /* private */ } };
  const remembered = () => { try { return localStorage.getItem("consilience-theme"); } catch { return null; } };
  const apply = (theme) => {
    root.dataset.theme = theme;
    button.textContent = names[theme];
    button.setAttribute("aria-label", `Colours: ${names[theme]}. Change.`);
  };
  apply(themes.includes(remembered()) ? remembered() : "auto");
  button.hidden = false;
  button.addEventListener("click", () => {
    const next = themes[(themes.indexOf(root.dataset.theme) + 1) % themes.length];
    apply(next);
    remember(next);
  });

  // where we are
  const links = new Map([...document.querySelectorAll("nav.contents a")].map((a) => [a.hash.slice(1), a]));
  const inView = new Set();
  const spy = new IntersectionObserver((entries) => {
    for (const entry of entries) inView[entry.isIntersecting ? "add" : "delete"](entry.target.id);
    const current = [...links.keys()].find((id) => inView.has(id));
    for (const [id, link] of links) {
      if (id === current) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }, { rootMargin: "-15% 0px -75% 0px" });
  for (const id of links.keys()) {
    const section = document.getElementById(id);
    if (section) spy.observe(section);
  }
  const menu = document.querySelector("nav.contents details");
  const narrow = window.matchMedia("(max-width: 60rem)");
  const fold = () => { menu.open = !narrow.matches; };
  narrow.addEventListener("change", fold);
  fold();
  for (const link of links.values()) link.addEventListener("click", () => { if (narrow.matches) menu.open = false; });

  // a link into a folded part opens it
  const reveal = () => {
    let node = location.hash.length > 1 ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
    const target = node;
    while (node) { if (node.tagName === "DETAILS") node.open = true; node = node.parentElement; }
    if (target) target.scrollIntoView();
  };
  window.addEventListener("hashchange", reveal);
  window.addEventListener("load", () => { if (location.hash) reveal(); });

  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("main details:not([open])")];
    for (const part of opened) part.open = true;
  });
  window.addEventListener("afterprint", () => { for (const part of opened) part.open = false; });

  for (const listing of document.querySelectorAll("[data-listing]")) {
    const save = Consilience.make("button", { type: "button", class: "quiet" }, "Download");
    save.addEventListener("click", () => Consilience.download(listing.dataset.listing, listing.querySelector("pre").textContent));
    listing.querySelector(".tools").append(save);
  }

  // one tooltip for all charts
  const tip = Consilience.make("div", { class: "tip", "aria-hidden": "true" });
  tip.hidden = true;
  document.body.append(tip);
  Consilience.tip = {
    show(lines, x, y) {
      tip.replaceChildren(...lines.map((line, i) => Consilience.make(i ? "span" : "strong", {}, line)));
      tip.hidden = false;
      const box = tip.getBoundingClientRect();
      const width = document.documentElement.clientWidth;
      tip.style.left = `${Math.max(6, Math.min(width - box.width - 6, x - box.width / 2))}px`;
      tip.style.top = `${y - box.height - 14 < 4 ? y + 16 : y - box.height - 14}px`;
    },
    hide() { tip.hidden = true; },
  };
  window.addEventListener("scroll", Consilience.tip.hide, { passive: true });
})();
