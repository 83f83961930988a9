// Sorting, filtering, ranking by another α, copying, and the exact values of a mark beside it.
"use strict";
(() => {
  const { columns, rows, comparison } = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const table = byId("trials");
  const body = table.tBodies[0];
  const slider = byId("alpha");
  const lines = new Map([...body.rows].map((line) => [Number(line.dataset.trial), line]));
  const position = new Map(columns.map((column, index) => [column.key, index]));
  const tip = byId("tip");
  let sorting = { key: "m_factor", falling: true };

  // Equation 8 of the paper in the form of mfactor::objective::m_factor.
  function mFactor(accuracy, sizeScore, alpha) {
    const sizeWeight = alpha / (1 + alpha);
    const denominator = sizeWeight * accuracy + (1 - sizeWeight) * sizeScore;
    return denominator === 0 ? 0 : (accuracy * sizeScore) / denominator;
  }

  function currentAlpha() {
    const moved = slider.value !== slider.defaultValue;
    // The very number that is shown, so that `mfactor trials --alpha` with it gives the same ranking.
    return moved ? Number((10 ** (Number(slider.value) / 100)).toPrecision(3)) : Number(slider.dataset.alpha);
  }

  function rankAnew() {
    const alpha = currentAlpha();
    for (const row of rows) {
      row.m_factor = row.accuracy === null ? null : mFactor(row.accuracy, row.size_score, alpha);
    }
    const ranked = rows.filter((row) => row.m_factor !== null);
    ranked.sort((a, b) => b.m_factor - a.m_factor || a.trial - b.trial);
    ranked.forEach((row, index) => {
      row.rank = index + 1;
      const cells = lines.get(row.trial).cells;
      cells[position.get("rank")].textContent = row.rank;
      cells[position.get("m_factor")].textContent = row.m_factor.toFixed(4);
    });
    byId("alpha-value").textContent = String(Number(alpha.toPrecision(3)));
    const best = ranked[0];
    byId("alpha-best").textContent = best
      ? `Best at this α: ${best.architecture} (trial ${best.trial}, ${best.strategy}), M ${best.m_factor.toFixed(4)}.`
      : "No trial is complete.";
    sort();
  }

  function compare(a, b) {
    const [x, y] = [a[sorting.key] ?? null, b[sorting.key] ?? null];
    if (x === null || y === null) return (x === null) - (y === null);
    const order = typeof x === "string" ? x.localeCompare(y) : x - y;
    return (sorting.falling ? -order : order) || a.trial - b.trial;
  }

  function sort() {
    rows.sort(compare);
    body.append(...rows.map((row) => lines.get(row.trial)));
    columns.forEach((column, index) => {
      const heading = table.tHead.rows[0].cells[index];
      const direction = sorting.falling ? "descending" : "ascending";
      heading.setAttribute("aria-sort", column.key === sorting.key ? direction : "none");
    });
  }

  function filter() {
    const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) {
      const text = `${row.architecture} ${lines.get(row.trial).cells[position.get("strategy")].textContent}`.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word))
        || (byId("only-front").checked && !row.front)
        || (byId("only-measured").checked && !row.measured);
      lines.get(row.trial).hidden = row.hidden;
    }
  }

  function csv() {
    const quote = (value) => {
      let text = value === null || value === undefined ? "" : String(value);
      // A spreadsheet would take such a text for a formula.
      if (typeof value === "string" && /^\s*[=+\-@＝＋－＠]/.test(text)) text = `'${text}`;
      return /[",;'\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    const shown = rows.filter((row) => !row.hidden);
    const values = shown.map((row) => columns.map((column) => quote(row[column.key])).join(","));
    return [columns.map((column) => column.key).join(","), ...values].join("\n") + "\n";
  }

  async function copy(button, text) {
    const label = button.textContent;
    let copied = true;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // A page opened from a file may lack the clipboard; a selected text area serves as well.
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      copied = document.execCommand("copy");
      area.remove();
    }
    button.textContent = copied ? "Copied" : "The browser refused";
    setTimeout(() => { button.textContent = label; }, 1500);
  }

  function light(trial) {
    for (const lit of document.querySelectorAll(".lit")) lit.classList.remove("lit");
    if (trial === undefined) return;
    for (const mark of document.querySelectorAll(`[data-trial="${trial}"]`)) mark.classList.add("lit");
  }

  function point(event) {
    const mark = event.target.closest?.("[data-trial]");
    light(mark?.dataset.trial);
    const titled = event.target.closest?.("[data-title]");
    tip.hidden = !titled;
    if (!titled) return;
    tip.textContent = titled.dataset.title;
    const box = titled.getBoundingClientRect();
    const left = Math.min(box.right + 10, innerWidth - tip.offsetWidth - 8);
    const above = box.top - tip.offsetHeight - 8;
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${above > 0 ? above : box.bottom + 8}px`;
  }

  // The browser shows an SVG title late and not at all on a touch screen; here it is shown at once.
  for (const title of document.querySelectorAll("svg title")) {
    title.parentElement.dataset.title = title.textContent;
    title.remove();
  }

  table.tHead.addEventListener("click", (event) => {
    const key = event.target.dataset?.key;
    if (key === undefined) return;
    const column = columns[position.get(key)];
    sorting = { key, falling: sorting.key === key ? !sorting.falling : column.falling };
    sort();
  });
  slider.addEventListener("input", rankAnew);
  byId("alpha-reset").addEventListener("click", () => {
    slider.value = slider.defaultValue;
    rankAnew();
  });
  for (const id of ["filter", "only-front", "only-measured"]) byId(id).addEventListener("input", filter);
  byId("copy-csv").addEventListener("click", (event) => copy(event.target, csv()));
  byId("copy-json").addEventListener("click", (event) => copy(event.target, JSON.stringify(comparison, null, 2)));
  // On paper nothing can be opened.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((part) => { part.open = true; });
  });
  addEventListener("afterprint", () => closed.forEach((part) => { part.open = false; }));
  document.addEventListener("pointerover", point);
  document.addEventListener("pointerdown", point);
  rankAnew();
})();
