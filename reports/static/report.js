"use strict";
// Everything is on the page already; this only sorts rows and hides those that do not match.

const value = (row, place) => {
  const cell = row.cells[place];
  return cell.dataset.value ?? cell.textContent.trim();
};

const compare = (a, b) => {
  const numbers = [Number(a), Number(b)];
  if (a !== "" && b !== "" && numbers.every(Number.isFinite)) return numbers[0] - numbers[1];
  if (a === "" || b === "") return a === b ? 0 : a === "" ? 1 : -1;
  return a.localeCompare(b, "en", { numeric: true });
};

const sort = (table, place) => {
  const heads = [...table.tHead.rows[0].cells];
  const descending = heads[place].getAttribute("aria-sort") === "ascending";
  heads.forEach((head) => head.removeAttribute("aria-sort"));
  heads[place].setAttribute("aria-sort", descending ? "descending" : "ascending");
  const rows = [...table.tBodies[0].rows];
  rows.sort((a, b) => compare(value(a, place), value(b, place)) * (descending ? -1 : 1));
  table.tBodies[0].append(...rows);
};

const makeSortable = (table) => {
  [...table.tHead.rows[0].cells].forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(table, place));
    head.append(button);
  });
};

const labelled = (text, control) => {
  const label = document.createElement("label");
  label.append(`${text} `, control);
  return label;
};

// What a row is filtered by: its own data, or the verdicts that stand in it.
const facts = (row, by) => {
  if (row.dataset[by] !== undefined) return by === "tag" ? row.dataset[by].split(" ") : [row.dataset[by]];
  return [...row.querySelectorAll("[data-outcome]")].map((badge) => badge.dataset.outcome);
};

const choice = (rows, by) => {
  const select = document.createElement("select");
  const names = [...new Set(rows.flatMap((row) => facts(row, by)))].filter(Boolean).sort();
  select.name = by;
  select.append(new Option("all", ""), ...names.map((name) => new Option(name, name)));
  return select;
};

const makeFilter = (table) => {
  const rows = [...table.tBodies[0].rows];
  const tools = document.createElement("div");
  const search = document.createElement("input");
  const shown = document.createElement("span");
  const wanted = (table.dataset.by ?? "verdict").split(" ");
  const selects = wanted.map((by) => choice(rows, by)).filter((select) => select.length > 2);
  search.type = "search";
  search.name = "search";
  shown.setAttribute("role", "status");
  const apply = () => {
    const text = search.value.trim().toLowerCase();
    for (const row of rows) {
      const has = row.textContent.toLowerCase().includes(text);
      const is = selects.every(({ name, value }) => !value || facts(row, name).includes(value));
      row.hidden = !(has && is);
    }
    shown.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`;
  };
  for (const control of [search, ...selects]) control.addEventListener("input", apply);
  tools.className = "tools";
  tools.append(labelled(table.dataset.filter ?? "Filter rows", search));
  const titled = (name) => name[0].toUpperCase() + name.slice(1);
  tools.append(...selects.map((select) => labelled(titled(select.name), select)), shown);
  table.parentElement.before(tools);
  if (table.dataset.by) rememberInHash([search, ...selects], apply);
};

// A link such as index.html#verdict=refuted&tag=cntk opens with those filters; using them writes it.
const rememberInHash = (controls, apply) => {
  const read = () => {
    if (!location.hash.includes("=")) return;
    const asked = new URLSearchParams(location.hash.slice(1));
    for (const control of controls) control.value = asked.get(control.name) ?? "";
    apply();
  };
  const write = () => {
    const used = controls.filter((control) => control.value);
    const hash = new URLSearchParams(used.map((control) => [control.name, control.value]));
    history.replaceState(null, "", `#${hash}`);
  };
  for (const control of controls) control.addEventListener("input", write);
  window.addEventListener("hashchange", read);
  read();
};

for (const table of document.querySelectorAll("table.data, table.overview")) {
  const rows = table.tBodies[0].rows.length;
  if (rows > 1) makeSortable(table);
  if (rows > 12 || (table.dataset.filter && rows > 1)) makeFilter(table);
}

// compare.html#base=abc1234&head=def5678 goes to the page of two commits, or says how to make it.
const chooseComparison = (pairs, commits) => {
  const rows = [...pairs.tBodies[0].rows].filter((row) => row.dataset.base);
  const measured = [...commits.tBodies[0].rows].filter((row) => row.dataset.commit);
  const names = ["base", "head"];
  const known = new Set([
    ...measured.map((row) => row.dataset.commit),
    ...rows.flatMap((row) => names.map((name) => row.dataset[name])),
  ]);
  const said = document.createElement("p");
  said.setAttribute("role", "status");
  const selects = names.map((name, place) => {
    const select = document.createElement("select");
    select.name = name;
    const told = (row) => [...row.cells].slice(0, 3).map((cell) => cell.textContent.trim());
    select.append(...measured.map((row) => new Option(told(row).join(" "), row.dataset.commit)));
    select.selectedIndex = Math.min(1 - place, measured.length - 1);
    return select;
  });
  // The beginning of a hash means the commit itself rather than it with files changed.
  const full = (name) => {
    const fits = [...known].filter((one) => one === name || (name.length > 3 && one.startsWith(name)));
    fits.sort((a, b) => a.length - b.length);
    return fits.length && fits.every((one) => one.startsWith(fits[0])) ? fits[0] : "";
  };
  const tell = (asked, found) => {
    const strange = asked.some((name, place) => !found[place] && !/^[\w.\/~^-]{1,100}$/.test(name));
    if (strange || asked[0] === asked[1]) {
      said.textContent = "Name two commits, such as #base=abc1234&head=def5678.";
      return;
    }
    const command = document.createElement("code");
    const pair = found.map((name, place) => name || asked[place]);
    command.textContent = `claimbench report --compare ${pair.join("..")}`;
    const unmeasured = asked.filter((name, place) => !found[place]);
    const lacking = unmeasured.map((name) => ` Nothing that was measured at ${name} is in this report.`);
    said.replaceChildren(`There is no page from ${asked[0]} to ${asked[1]}.${lacking.join("")} This makes it: `, command);
  };
  const pageOf = (asked) => {
    const found = asked.map(full);
    selects.forEach((select, place) => {
      if (found[place]) select.value = found[place];
    });
    const page = rows.find((row) => names.every((name, place) => row.dataset[name] === found[place]));
    if (!page) tell(asked, found);
    return page?.querySelector("a").href;
  };
  const open = () => {
    const hash = new URLSearchParams(location.hash.slice(1));
    if (!names.some((name) => hash.has(name))) return;
    const page = pageOf(names.map((name) => hash.get(name) ?? ""));
    if (page) location.replace(page);
  };
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Compare";
  button.addEventListener("click", () => {
    const page = pageOf(selects.map((select) => select.value));
    if (page) location.assign(page);
  });
  const tools = document.createElement("div");
  tools.className = "tools";
  tools.append(labelled("Base", selects[0]), labelled("Head", selects[1]), button, said);
  pairs.parentElement.before(tools);
  window.addEventListener("hashchange", open);
  open();
};

const compared = ["pairs", "commits"].map((id) => document.querySelector(`table#${id}`));
if (compared.every(Boolean)) chooseComparison(...compared);
