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
  const point = (v, i) => `${(5 + 690 * i / (n - 1)).toFixed(1)},${(130 - 32 * v).toFixed(1)}`;
  const put = (name, points) =>
    document.querySelector(`svg .c-${name}`).setAttribute("points", points.join(" "));

  function draw() {
    const name = document.querySelector("[name=schedule]:checked").value;
    const k = slider.value - data.first;
    document.getElementById("t-shown").textContent = slider.value;
    document.querySelectorAll("[data-v]").forEach(
      (e) => { e.textContent = data.values[name][k][e.dataset.v]; });
    const curves = names.map((_, j) => decoded(data.curves[name], 2 * n * (names.length * k + j)));
    names.forEach((each, j) => put(each, curves[j].map(point)));
    const wide = 2 * data.std[name][k], mean = curves[1];
    const above = mean.map((v, i) => point(v + wide, i));
    put("band", [...above, ...mean.map((v, i) => point(v - wide, i)).reverse()]);
  }
  slider.addEventListener("input", draw);
  document.querySelectorAll("[name=schedule]").forEach((e) => e.addEventListener("change", draw));
  draw();

  // A symbol that is touched lights up around it, and says what it is.
  const tip = document.getElementById("tip");
  const isSymbol = (e) => e.closest("[class^='s-']");
  document.addEventListener("click", (event) => {
    const e = isSymbol(event.target), around = e && e.closest(".one");
    document.querySelectorAll(".lit").forEach((other) => other.classList.remove("lit"));
    tip.hidden = true;
    if (!e || event.target.closest("a")) return;
    const name = e.getAttribute("class").split(" ")[0];
    if (around) around.querySelectorAll(`.${name}`).forEach((o) => o.classList.add("lit"));
    const found = [name, name.replace(/-(t-1|t-s|[tsk])$/, ""), name.replace(/-(t-1|s)$/, "-t")]
      .map((each) => document.getElementById(`d-${each}`)).find(Boolean);
    if (!found) return;
    tip.replaceChildren(...found.cloneNode(true).childNodes);
    const link = document.createElement("a");
    link.href = `#${found.id}`;
    link.textContent = "↓";
    link.setAttribute("aria-label", "all symbols");
    tip.append(link);
    tip.hidden = false;
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });

  // Whose browser is Chinese begins in Chinese.
  if (navigator.language.startsWith("zh")) document.getElementById("lang-zh").checked = true;
})();
