// Every mark of a drawing tells in words what it is. Pointing at a chart, or walking through it with
// the arrow keys, shows what stands at that place; choosing a place holds the others against it.

const makeReadable = (plot) => {
  const svg = plot.querySelector("svg");
  const marks = readMarks(svg);
  if (!marks.length) return;
  const places = [...Map.groupBy(marks, (mark) => mark.head)].map(([head, of]) => ({ head, marks: of }));
  const held = element("p", "hint");
  const cross = drawnLine(svg);
  let shown = -1;
  let base = null;

  const show = (index, mark) => {
    shown = index;
    const place = places[index];
    tip.replaceChildren(element("b", "tip-line", place.head), ...lines(place, base));
    tip.hidden = false;
    setAside(tip, mark ?? place.marks[0]);
    cross(mark ?? place.marks[0], place.marks.length > 1);
  };
  const hide = () => {
    tip.hidden = true;
    cross(null);
  };
  const choose = () => {
    if (shown < 0) return;
    const place = places[shown];
    held.replaceChildren(...told(place, base, plot.dataset.compare));
    base = base === null ? place : base === place ? null : base;
    show(shown);
  };

  svg.addEventListener("pointermove", (event) => {
    const mark = nearest(marks, event.clientX, event.clientY);
    show(places.findIndex((place) => place.head === mark.head), mark);
  });
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("click", choose);
  if (!plot.hasAttribute("tabindex")) return;
  plot.after(held);
  held.setAttribute("role", "status");
  plot.addEventListener("blur", hide);
  plot.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) show((shown + step + places.length) % places.length);
    else if (event.key === "Enter") choose();
    else if (event.key === "Escape") hide();
    else return;
    event.preventDefault();
  });
};

// A browser shows titles of its own accord, where there is no script; here they give way to ours.
const readMarks = (svg) =>
  [...svg.querySelectorAll("title")].map((title) => {
    const [head, text] = title.textContent.split("\n");
    const drawn = title.parentElement;
    title.remove();
    return { head, text, drawn, series: text.split(":")[0], value: Number(drawn.dataset.value) };
  });

const element = (name, className, text = "") => {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
};

const middle = (drawn) => {
  const box = drawn.getBoundingClientRect();
  return [box.left + box.width / 2, box.top + box.height / 2];
};

const nearest = (marks, x, y) => {
  const distance = (mark) => {
    const [left, top] = middle(mark.drawn);
    return Math.hypot(left - x, (top - y) / 4);
  };
  return marks.reduce((best, mark) => (distance(mark) < distance(best) ? mark : best));
};

const drawnLine = (svg) => {
  const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
  const box = svg.viewBox.baseVal;
  line.setAttribute("class", "cross");
  return (mark, wanted = false) => {
    line.remove();
    if (!mark || !wanted) return;
    const outer = svg.getBoundingClientRect();
    const x = box.x + ((middle(mark.drawn)[0] - outer.left) / outer.width) * box.width;
    for (const end of ["x1", "x2"]) line.setAttribute(end, x);
    line.setAttribute("y1", box.y);
    line.setAttribute("y2", box.y + box.height);
    svg.append(line);
  };
};

const lines = (place, base) =>
  place.marks.map((mark) => element("span", "tip-line", mark.text + change(mark, base)));

const told = (place, base, page) => {
  if (base === place) return [];
  if (!base) return [`Held: ${place.head}. Choose another place to compare, or this one to let go.`];
  const end = page ? [" ", comparison(page, base, place)] : [];
  return [`${place.head} against ${base.head}:`, ...lines(place, base), ...end];
};

const change = (mark, base) => {
  const then = base?.marks.find((other) => other.series === mark.series && other !== mark);
  if (!then || !Number.isFinite(mark.value - then.value)) return "";
  const gap = mark.value - then.value;
  const share = then.value ? `, ${signed(((100 * gap) / Math.abs(then.value)).toFixed(1))}%` : "";
  return ` (${signed(String(Number(gap.toPrecision(3))))}${share})`;
};

const signed = (digits) => (digits.startsWith("-") ? digits.replace("-", "\u2212") : `+${digits}`);

const comparison = (page, base, place) => {
  const [from, to] = [base, place].map((end) => encodeURIComponent(end.head.split(" ")[0]));
  const link = element("a", "", "Compare the two commits");
  link.href = `${page}#base=${from}&head=${to}`;
  return link;
};

const setAside = (tip, mark) => {
  const [x, y] = middle(mark.drawn);
  const right = x > window.innerWidth / 2;
  tip.style.left = right ? "" : `${x + window.scrollX + 12}px`;
  tip.style.right = right ? `${document.documentElement.clientWidth - x - window.scrollX + 12}px` : "";
  tip.style.top = `${Math.max(0, y + window.scrollY - 12)}px`;
};

const tip = document.body.appendChild(element("div", "tip"));
tip.hidden = true;
tip.setAttribute("role", "status");
for (const plot of document.querySelectorAll(".plot, .spark")) makeReadable(plot);
