"use strict";
// Tables: sort by a click on a heading, filter by typing, show more rows, download all of them as TSV.
(() => {
  const { make, number, bytes, download } = Consilience;
  const RIGHT = new Set(["integer", "number", "share", "bytes", "seconds"]);

  const cellText = (value, kind) => {
    if (value === null || value === "") return "–";
    if (typeof value === "boolean") return value ? "yes" : "no";
    if (typeof value === "string") return value;
    if (kind === "bytes") return bytes(value);
    if (kind === "share") return `${(100 * value).toFixed(1)} %`;
    return number(value);
  };

  const cellNode = (value, kind) => {
    const node = make("td", { class: RIGHT.has(kind) ? "right" : kind === "id" || kind === "words" ? kind : null });
    if (kind === "link" && /^https:\/\//.test(value || "")) {
      node.append(make("a", { href: value, rel: "noreferrer noopener" }, value.replace("https://", "")));
    } else node.append(cellText(value, kind));
    return node;
  };

  const order = (a, b) => {
    if (a === null || a === "") return b === null || b === "" ? 0 : 1; // missing values stay last
    if (b === null || b === "") return -1;
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), "en", { numeric: true });
  };

  const enhance = (holder) => {
    const data = JSON.parse(holder.querySelector("script[type='application/json']").textContent);
    const table = holder.querySelector("table");
    const body = table.tBodies[0];
    const state = { sort: null, down: false, filter: "", shown: data.visible };
    const tools = holder.querySelector(".tools");
    const status = holder.querySelector(".count");
    const more = make("button", { type: "button", class: "quiet" });
    status.after(more);

    const rows = () => {
      const words = state.filter.toLowerCase().split(/\s+/).filter(Boolean);
      let found = data.rows;
      if (words.length) {
        found = found.filter((row) => {
          const text = row.map((value, i) => `${value ?? ""} ${cellText(value, data.columns[i].kind)}`).join(" ").toLowerCase();
          return words.every((word) => text.includes(word));
        });
      }
      if (state.sort !== null) {
        const sign = state.down ? -1 : 1;
        found = [...found].sort((a, b) => {
          const [x, y] = [a[state.sort], b[state.sort]];
          const missing = x === null || x === "" || y === null || y === "";
          return missing ? order(x, y) : sign * order(x, y);
        });
      }
      return found;
    };

    const describe = (found) => {
      const shown = Math.min(state.shown, found.length);
      const beyond = data.total > data.rows.length ? ` (all ${number(data.total)} in the file)` : "";
      const whole = state.filter ? `${number(found.length)} that match` : number(found.length);
      status.textContent = found.length > shown || state.filter || beyond ? `${number(shown)} of ${whole} rows${beyond}` : "";
      more.hidden = found.length <= shown;
      const next = Math.min(found.length - shown, Math.max(50, state.shown * 3));
      more.textContent = next === found.length - shown ? "Show all" : `Show ${number(next)} more`;
      more.onclick = () => { state.shown += next; show(); };
    };

    const show = () => {
      const found = rows();
      body.replaceChildren(...found.slice(0, state.shown).map((row) => {
        const line = make("tr");
        line.append(...row.map((value, i) => cellNode(value, data.columns[i].kind)));
        return line;
      }));
      describe(found);
    };

    const heads = [...table.tHead.rows[0].cells];
    if (data.rows.length > 1) heads.forEach((head, place) => {
      const button = make("button", { type: "button", class: "sort" }, ...head.childNodes);
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const numeric = RIGHT.has(data.columns[place].kind);
        if (state.sort === place) state.down = !state.down;
        else { state.sort = place; state.down = numeric; }
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", state.down ? "descending" : "ascending");
        show();
      });
    });

    if (data.rows.length > data.visible) {
      const input = make("input", { type: "search", placeholder: "Filter", "aria-label": `Filter rows of ${holder.dataset.title}` });
      let wait = 0;
      input.addEventListener("input", () => {
        clearTimeout(wait);
        wait = setTimeout(() => { state.filter = input.value; state.shown = data.visible; show(); }, 120);
      });
      tools.prepend(input);
    }

    const link = tools.querySelector("a[download]");
    if (link && data.rows.length === data.total) {
      link.addEventListener("click", (event) => {
        event.preventDefault(); // works without the folder beside the page
        const clean = (value) => (value === null ? "" : String(value).replace(/[\t\r\n]+/g, " "));
        const lines = [data.columns.map((column) => column.name), ...data.rows].map((row) => row.map(clean).join("\t"));
        download(`${data.key}.tsv`, `${lines.join("\n")}\n`, "text/tab-separated-values");
      });
    }
    describe(data.rows);
  };

  for (const holder of document.querySelectorAll("[data-table]")) enhance(holder);
})();
