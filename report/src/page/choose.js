// A budget that is dragged, and the model that `mfactor pick` names for it.
"use strict";
(() => {
  const { comparison } = JSON.parse(document.getElementById("data").textContent);
  const select = document.getElementById("cost");
  if (!select) return;
  const articles = [...document.querySelectorAll("article.choice")];

  // As CostFront::pick and its step down.
  function pick(front, budget) {
    const model = front.within.findLast((candidate) => candidate.at_most <= budget);
    const down = model && front.front.findLast((other) => other.cost < model.cost && other.accuracy < model.accuracy);
    return { model, down };
  }

  // The unit that an amount on the command line needs.
  function unit(quantity) {
    if (quantity.startsWith("latency")) return "ms";
    if (quantity === "energy") return "mJ";
    return ["parameters", "macs"].includes(quantity) ? "" : "B";
  }

  function show(quantity, value) {
    const measured = ["ms", "mJ"].includes(unit(quantity));
    const digits = measured ? { maximumSignificantDigits: 4 } : { maximumFractionDigits: 0 };
    return `${value.toLocaleString("en", digits)} ${unit(quantity) || (quantity === "macs" ? "MACs" : quantity)}`;
  }

  const percent = (fraction) => `${(100 * fraction).toFixed(2)} %`;

  function words(front, budget) {
    const { model, down } = pick(front, budget);
    const on = front.on === null ? "" : ` --on '${front.on}'`;
    const command = `mfactor pick DIR --budget ${front.quantity}=${budget}${unit(front.quantity)}${on}`;
    const least = front.within[0];
    if (!model) {
      const cheapest = `${least.architecture} is the cheapest, with ${show(front.quantity, least.cost)}`;
      return [`Nothing keeps to ${show(front.quantity, budget)}: ${cheapest}.`, command];
    }
    const interval = model.interval ? ` (${model.interval.map(percent).join(" to ")})` : "";
    let text = `Within ${show(front.quantity, budget)}: ${model.architecture} (trial ${model.trial}), ${percent(model.accuracy)}${interval}, ${show(front.quantity, model.cost)}.`;
    if (down) {
      const lost = (100 * (model.accuracy - down.accuracy)).toFixed(2);
      const saved = Math.round(100 * (1 - down.cost / model.cost));
      text += ` One step down, ${down.architecture}, is ${lost} points less accurate and ${saved} % cheaper.`;
    }
    return [text, command];
  }

  function set(article) {
    const front = comparison.cost_fronts[Number(article.dataset.front)];
    const drawing = article.querySelector("svg");
    const slider = article.querySelector("input");
    const share = Number(slider.value) / Number(slider.max);
    const [low, high] = drawing.dataset.domain.split(" ").map(Number);
    // The very number that is shown, so that the command with it gives the same model.
    const budget = Number((low * (high / low) ** share).toPrecision(3));
    const [left, right] = drawing.dataset.plot.split(" ").map(Number);
    const line = drawing.querySelector("line.budget");
    for (const end of ["x1", "x2"]) line.setAttribute(end, left + share * (right - left));
    const [text, command] = words(front, budget);
    const picked = article.querySelector(".picked");
    picked.replaceChildren(text, document.createElement("br"), Object.assign(document.createElement("code"), { textContent: command }));
    slider.setAttribute("aria-valuetext", show(front.quantity, budget));
    const model = pick(front, budget).model;
    for (const mark of drawing.querySelectorAll(".mark")) {
      mark.classList.toggle("chosen", model !== undefined && Number(mark.dataset.trial) === model.trial);
    }
  }

  // The line is dragged in the drawing as well.
  function drag(article, event) {
    if (event.buttons === 0) return;
    const drawing = article.querySelector("svg");
    const box = drawing.getBoundingClientRect();
    const [left, right] = drawing.dataset.plot.split(" ").map((x) => (Number(x) / drawing.viewBox.baseVal.width) * box.width);
    const slider = article.querySelector("input");
    slider.value = Math.round(Number(slider.max) * ((event.clientX - box.left - left) / (right - left)));
    set(article);
  }

  function choose() {
    for (const article of articles) article.hidden = article.dataset.front !== select.value;
  }

  for (const article of articles) {
    article.querySelector("input").addEventListener("input", () => set(article));
    for (const kind of ["pointerdown", "pointermove"]) {
      article.querySelector("svg").addEventListener(kind, (event) => drag(article, event));
    }
    set(article);
  }
  select.addEventListener("input", choose);
  choose();
})();
