// Values under the pointer. Without it the page says the same, but for single readings.
"use strict";
for (const figure of document.querySelectorAll("figure.chart")) {
  const data = figure.querySelector("script");
  if (!data) continue;
  const { x, lines } = JSON.parse(data.textContent);
  const svg = figure.querySelector("svg"), cursor = svg.querySelector(".cursor"), tip = figure.querySelector(".tip");
  figure.dataset.pointed = "yes";
  const width = svg.viewBox.baseVal.width;
  const show = (value) => {
    const size = Math.abs(value);
    return size !== 0 && (size < 1e-4 || size >= 1e7) ? value.toExponential(2) : String(Number(value.toPrecision(4)));
  };
  const nearest = (points, at) => points.reduce((best, p) => (Math.abs(p[0] - at) < Math.abs(best[0] - at) ? p : best), points[0]);
  const leave = () => { cursor.setAttribute("hidden", "hidden"); tip.hidden = true; };
  svg.addEventListener("pointerleave", leave);
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const pixel = (event.clientX - box.left) / box.width * width;
    const at = x[0] + (pixel - x[2]) / (x[3] - x[2]) * (x[1] - x[0]);
    const points = lines.filter((l) => l.points.length).map((l) => [l, nearest(l.points, at)]);
    if (!points.length || pixel < x[2] - 6 || pixel > x[3] + 6) return leave();
    const step = points[0][1][0];
    const place = x[2] + (step - x[0]) / (x[1] - x[0]) * (x[3] - x[2]);
    cursor.removeAttribute("hidden");
    cursor.setAttribute("x1", place);
    cursor.setAttribute("x2", place);
    tip.hidden = false;
    tip.replaceChildren();
    for (const text of ["step " + step, ...points.map(([l, p]) => l.name + "  " + show(p[1]))]) {
      tip.append(Object.assign(document.createElement("div"), { textContent: text }));
    }
    const own = figure.getBoundingClientRect();
    const left = box.left - own.left + place / width * box.width;
    tip.style.top = box.top - own.top + 8 + "px";
    tip.style.left = (left + tip.offsetWidth + 20 > own.width ? left - tip.offsetWidth - 12 : left + 12) + "px";
  });
}
