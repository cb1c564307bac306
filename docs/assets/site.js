// Filters of tables, and stepping through recorded replies. Everything stays readable without it.
"use strict";
(() => {

  function filter(box) {
    const table = document.getElementById(box.dataset.filters);
    const rows = [...table.tBodies[0].rows];
    const fields = [...box.querySelectorAll("[data-match]")];
    const words = rows.map((row) => (row.textContent + " " + (row.dataset.also || "")).toLowerCase());
    const count = box.querySelector("output");
    const apply = () => {
      let shown = 0;
      rows.forEach((row, number) => {
        const fits = fields.every((field) => {
          const wanted = field.value.trim();
          if (!wanted) return true;
          if (field.dataset.match === "text") return wanted.toLowerCase().split(/\s+/).every((word) => words[number].includes(word));
          if (field.dataset.match === "verdicts") return row.dataset.verdicts.includes(" " + wanted + " ");
          return row.dataset[field.dataset.match] === wanted;
        });
        row.hidden = !fits;
        shown += fits ? 1 : 0;
      });
      count.textContent = `${shown} of ${rows.length}`;
    };
    fields.forEach((field) => field.addEventListener("input", apply));
    apply();
  }

  function step(box) {
    const steps = [...box.querySelectorAll("li")];
    let at = 0;
    const bar = document.createElement("p");
    const back = document.createElement("button");
    const on = document.createElement("button");
    const all = document.createElement("button");
    const place = document.createElement("span");
    [back.textContent, on.textContent, all.textContent] = ["◀ back", "next ▶", "all"];
    [back, on, all].forEach((button) => { button.type = "button"; });
    place.setAttribute("aria-live", "polite");
    bar.className = "bar";
    bar.append(back, on, all, place);
    box.prepend(bar);
    const show = (number) => {
      at = Math.max(0, Math.min(steps.length, number));
      const everything = at === steps.length;
      steps.forEach((one, index) => {
        one.hidden = !everything && index > at;
        one.classList.toggle("now", index === at);
      });
      back.disabled = at === 0;
      on.disabled = everything;
      place.textContent = everything ? ` all ${steps.length} steps` : ` step ${at + 1} of ${steps.length}`;
    };
    back.addEventListener("click", () => show(at - 1));
    on.addEventListener("click", () => show(at + 1));
    all.addEventListener("click", () => show(steps.length));
    box.addEventListener("keydown", (event) => {
      if (event.key === "ArrowRight") show(at + 1);
      else if (event.key === "ArrowLeft") show(at - 1);
      else return;
      event.preventDefault();
    });
    show(0);
  }

  // A search for the whole id of a clause offers that clause first, before those whose ids begin alike.
  function offer(input, list) {
    const base = JSON.parse(document.getElementById("__config").textContent).base;
    let clauses;
    const hit = (id, [page, rule]) => {
      const item = document.createElement("li");
      item.className = "md-search-result__item";
      item.dataset.clause = id;
      item.innerHTML = '<a class="md-search-result__link" tabindex="-1"><article class="md-search-result__article md-typeset" data-md-score="1000000"><h2></h2><p></p></article></a>';
      item.firstChild.href = `${base}/${page}#${id}`;
      item.querySelector("h2").textContent = id;
      item.querySelector("p").textContent = rule;
      return item;
    };
    const show = async () => {
      const id = input.value.trim().toUpperCase();
      const there = list.querySelector("[data-clause]");
      if (there && there.dataset.clause === id && there === list.firstElementChild) return;
      if (there) there.remove();
      if (!/^[A-Z]{3}\.\d+$/.test(id)) return;
      clauses ??= fetch(`${base}/assets/ids.json`).then((answer) => answer.json());
      const found = (await clauses)[id];
      if (found && id === input.value.trim().toUpperCase() && !list.querySelector("[data-clause]")) list.prepend(hit(id, found));
    };
    new MutationObserver(show).observe(list, { childList: true });
    input.addEventListener("input", show);
  }

  const input = document.querySelector(".md-search__input");
  const list = document.querySelector(".md-search-result__list");
  if (input && list) offer(input, list);
  document.querySelectorAll("[data-filters]").forEach(filter);
  document.querySelectorAll(".stepper").forEach(step);
})();
