"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const slider = document.getElementById("t");
  const names = ["x_t", "mean", "eps_hat", "eps_star"];
  const n = data.x_0.length / 2;

  // Two characters are a number from 0 to 4095, for the range of the picture.
  const decoded = (text, from) => Array.from({length: n}, (_, i) => {
    const at = from + 2 * i;
    return (64 * digits.indexOf(text[at]) + digits.indexOf(text[at + 1])) / 512 - data.range;
  });
  const point = (v, i) => `${(5 + 690 * i / (n - 1)).toFixed(1)},${(150 - 42 * v).toFixed(1)}`;
  const put = (name, points) =>
    document.querySelector(`svg .c-${name}`).setAttribute("points", points.join(" "));

  function draw() {
    const name = document.querySelector("[name=schedule]:checked").value;
    const k = slider.value - data.first;
    document.getElementById("t-shown").textContent = slider.value;
    document.querySelectorAll("[data-v]").forEach(
      (e) => {
        const column = data.columns[name][data.places[name][e.dataset.v]];
        e.textContent = column[k] ?? column[0];
      });
    const curves = names.map((_, j) => decoded(data.curves[name], 2 * n * (names.length * k + j)));
    names.forEach((each, j) => put(each, curves[j].map(point)));
    const wide = 2 * data.std[name][k], mean = curves[1];
    const above = mean.map((v, i) => point(v + wide, i));
    put("band", [...above, ...mean.map((v, i) => point(v - wide, i)).reverse()]);
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
