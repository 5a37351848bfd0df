"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const slider = document.getElementById("t");
  const names = ["x_t", "mean", "eps_hat", "eps_star"];
  const n = 50, wide = n * names.length;

  // A character is the change since the step before; a slash and two characters are a value.
  const decoded = (text) => {
    const values = [];
    for (let i = 0; i < text.length; i++) {
      const d = digits.indexOf(text[i]);
      if (text[i] === "/") {
        values.push(64 * digits.indexOf(text[i + 1]) + digits.indexOf(text[i + 2]));
        i += 2;
      } else values.push(values[values.length - wide] + d - 31);
    }
    return values.map((v) => v / 256 - data.range);
  };
  const curves = {}, columns = {};
  for (const name in data.curves) {
    curves[name] = decoded(data.curves[name]);
    columns[name] = data.columns[name].map((column) => column.split(" "));
  }
  const point = (v, i) => `${(5 + 690 * i / (n - 1)).toFixed(1)},${(150 - 42 * v).toFixed(1)}`;
  const put = (name, points) =>
    document.querySelector(`svg .c-${name}`).setAttribute("points", points.join(" "));

  function draw() {
    const name = document.querySelector("[name=schedule]:checked").value;
    const k = slider.value - data.first;
    document.getElementById("t-shown").textContent = slider.value;
    document.querySelectorAll("[data-v]").forEach((e) => {
      const column = columns[name][data.places[name][e.dataset.v]];
      e.textContent = column[k] ?? column[0];
    });
    const now = names.map((_, j) => curves[name].slice(k * wide + j * n, k * wide + (j + 1) * n));
    names.forEach((each, j) => put(each, now[j].map(point)));
    const band = 2 * data.std[name][k];
    const above = now[1].map((v, i) => point(v + band, i));
    put("band", [...above, ...now[1].map((v, i) => point(v - band, i)).reverse()]);
  }
  slider.addEventListener("input", draw);
  document.querySelectorAll("[name=schedule]").forEach((e) => e.addEventListener("change", draw));
  draw();

  // A symbol that is pointed at or touched lights up around it; touched, it says what it is.
  const tip = document.getElementById("tip");
  const symbolAt = (event) => {
    const e = event.target.closest("[class^='s-']");
    return e && {name: e.getAttribute("class").split(" ")[0], around: e.closest(".one")};
  };
  function light(symbol) {
    document.querySelectorAll(".lit").forEach((e) => e.classList.remove("lit"));
    if (symbol && symbol.around)
      symbol.around.querySelectorAll(`.${symbol.name}`).forEach((e) => e.classList.add("lit"));
  }
  document.addEventListener("pointerover", (event) => light(symbolAt(event)));
  document.addEventListener("click", (event) => {
    const symbol = symbolAt(event);
    light(symbol);
    tip.hidden = true;
    if (!symbol || event.target.closest("a")) return;
    const found = [/$^/, /-(t-1|t-s|[tsk])$/, /(?<=-)(t-1|s)$/]
      .map((end, i) => document.getElementById(`d-${symbol.name.replace(end, i > 1 ? "t" : "")}`))
      .find(Boolean);
    if (!found) return;
    const link = document.createElement("a");
    link.href = `#${found.id}`;
    link.textContent = "↓";
    link.setAttribute("aria-label", "all symbols");
    tip.replaceChildren(...found.cloneNode(true).childNodes, link);
    tip.hidden = false;
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });

  // Whose browser is Chinese begins in Chinese.
  if (navigator.language.startsWith("zh")) document.getElementById("lang-zh").checked = true;
})();
