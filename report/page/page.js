// What the script adds: filters of the grid, and what is in each image. All that is chosen stands in the address after #:
// image=ID, q=text, driver=535, gpu=sm_90, state=failed; so links, back and forward work.
//
// Stable for tests: ids verdict, todo, changes, matrix, grid, ends, looser, trends, image; filter, driver, gpu, state (the choices),
// found (how many), answers (the table, rows with data-id and data-state); body[data-ready] once all of this works,
// #image[data-shown=ID] once an image is there.
"use strict";
(() => {
  const by = (id) => document.getElementById(id);
  const choices = { q: by("filter"), driver: by("driver"), gpu: by("gpu"), state: by("state") };
  const table = by("answers"), head = table.tHead.rows[0], body = table.tBodies[0];
  const branches = [...head.cells].slice(1);
  const marks = [...document.querySelectorAll("#state optgroup:last-child option")].map((o) => ({ name: o.value, word: o.text }));
  const nothing = marks.length - 1, unknown = marks.findIndex((m) => m.name === "oo");
  const many = 300; // rows; more are drawn as they come into sight (page.css)
  const rows = [...body.rows].map((row, at) => ({
    row, at, id: row.dataset.id, state: row.dataset.state, cells: [...row.cells].slice(1),
    text: (row.dataset.id + " " + row.dataset.state).toLowerCase(),
  }));

  const make = (name, attributes, ...children) => {
    const element = document.createElement(name);
    for (const key in attributes) element.setAttribute(key, attributes[key]);
    element.append(...children);
    return element;
  };

  const notes = ([, , ended, here]) => [...(here ? [" ", make("small", {}, here)] : []), ...(ended ? [" ", make("small", { class: "ended" }, ended)] : [])];

  const kept = new Map();
  const unpack = (id) => {
    if (!kept.has(id)) kept.set(id, (async () => {
      const bytes = Uint8Array.from(atob(by(id).textContent), (c) => c.charCodeAt(0));
      return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
    })());
    kept.get(id).catch(() => kept.delete(id)); // another try may succeed
    return kept.get(id);
  };
  const cannot = (reason) => window.DecompressionStream
    ? `The details could not be unpacked: ${reason.message || reason}.`
    : "This browser cannot unpack the details: it has no DecompressionStream, which browsers have since 2023.";
  let problem = ""; // why something that was chosen is not shown

  // The address.
  let said = new URLSearchParams();
  const read = () => {
    const text = location.hash.slice(1);
    if (!text || text.includes("=")) said = new URLSearchParams(text); // else it is a part of the page, and what was chosen stays
    return Object.fromEntries(["image", ...Object.keys(choices)].map((name) => [name, said.get(name) || ""]));
  };
  const address = (chosen) => {
    const said = new URLSearchParams();
    for (const name in chosen) if (chosen[name]) said.set(name, chosen[name]);
    return "#" + said;
  };
  const choose = (changed, replace) => {
    const to = address({ ...read(), ...changed });
    if (replace) { history.replaceState(null, "", to); show(); } else if (to !== location.hash) location.hash = to;
  };

  // The grid of the chosen driver or GPU. Without a choice it is as it was written.
  const rank = (data, answer) => answer === -2 ? unknown : answer < 0 ? nothing : data.answers[answer][0];
  const columns = (data, chosen) => {
    const d = data.drivers.findIndex((x) => x[0] === chosen.driver), g = data.gpus.findIndex((x) => x[0] === chosen.gpu);
    const column = (i, j, name, driver) => ({ name, ended: data.drivers[i][2], driver, at: i * data.gpus.length + j });
    if (d < 0 && g < 0) return null;
    if (d >= 0 && g >= 0) return [column(d, g, `R${chosen.driver} ${chosen.gpu}`, data.drivers[d])];
    const all = d >= 0 ? data.gpus.map((x, j) => column(d, j, x[0])) : data.drivers.map((x, i) => column(i, g, "R" + x[0], x));
    const some = all.filter((c) => data.grids.some((grid) => rank(data, grid[c.at]) !== nothing)); // others are no pair with what was chosen
    return some.length ? some : all;
  };
  const ends = (column) => column.ended ? " class=e" : "";
  const cells = (data, shown, grid) => {
    let html = "", from = 0;
    const mark = (i) => rank(data, grid[shown[i].at]);
    for (let i = 1; i <= shown.length; i++) {
      if (i < shown.length && mark(i) === mark(from) && shown[i].ended === shown[from].ended) continue;
      const m = marks[mark(from)];
      html += `<td role=cell colspan=${i - from}${ends(shown[from])}><i class=${m.name}>${m.word}</i></td>`;
      from = i;
    }
    const made = make("template", {});
    made.innerHTML = html;
    return made.content;
  };
  let drawn = " ";
  const draw = (data, chosen) => {
    const key = chosen.driver + " " + chosen.gpu;
    if (key === drawn) return;
    drawn = key;
    const shown = data && columns(data, chosen), n = shown ? shown.length : branches.length || 1;
    head.replaceChildren(head.cells[0], ...(shown ? shown.map((c) => {
      const cell = make("th", { role: "columnheader", scope: "col" }, c.name, ...(c.driver ? notes(c.driver) : []));
      if (c.ended) cell.className = "e";
      return cell;
    }) : branches));
    table.style.setProperty("--n", n);
    const made = new Map(); // few grids are different
    for (const r of rows) {
      const g = shown ? data.images[r.at][0] : -1;
      if (g >= 0 && !made.has(g)) made.set(g, cells(data, shown, data.grids[g]));
      r.row.replaceChildren(r.row.cells[0], ...(g >= 0 ? [made.get(g).cloneNode(true)] : r.cells));
      if (r.cells.length === 1 && r.cells[0].className === "none") r.cells[0].colSpan = n;
    }
  };

  const filter = (data, chosen) => {
    const words = chosen.q.toLowerCase().split(/\s+/).filter(Boolean);
    const mark = marks.findIndex((m) => m.name === chosen.state);
    let has = () => true;
    if (mark >= 0) {
      const shown = columns(data, chosen), known = new Map();
      has = (r) => {
        const g = data.images[r.at][0], grid = data.grids[g];
        if (g < 0) return mark === unknown && r.cells[0].textContent.startsWith("not known");
        if (!known.has(g)) known.set(g, (shown ? shown.map((c) => grid[c.at]) : grid).some((answer) => rank(data, answer) === mark));
        return known.get(g);
      };
    } else if (chosen.state) has = (r) => r.state === chosen.state;
    let n = 0;
    for (const r of rows) {
      const out = !(words.every((w) => r.text.includes(w)) && has(r));
      if (out !== r.row.hidden) r.row.hidden = out;
      if (!out) n++;
    }
    table.classList.toggle("many", n > many);
    by("found").textContent = (n === rows.length ? `${n} images` : `${n} of ${rows.length} images`) + (problem && ". " + problem);
  };

  // One image.
  const section = by("image"), inside = by("image-body"), title = by("image-h");
  const own = (data, chosen, at) => {
    const shown = inside.querySelector("table.rows"), rowAt = new Map(); // by their places among all rows of the image
    if (shown) shown.dataset.rows.split(" ").forEach((n, i) => rowAt.set(Number(n), shown.tBodies[0].rows[i]));
    for (const place of inside.querySelectorAll(".own")) {
      const grid = data.grids[data.images[at][1 + Number(place.dataset.platform)]] || [];
      const why = place.previousElementSibling, held = place.contains(document.activeElement);
      why.replaceChildren();
      const top = make("tr", {}, make("th", { scope: "col" }, "Driver"), ...data.gpus.map((g) => make("th", { scope: "col", title: g[1] }, g[0])));
      const lines = data.drivers.map((d, i) => make("tr", {},
        make("th", { scope: "row", class: d[2] ? "e" : "" }, "R" + d[0], ...notes(d)),
        ...data.gpus.map((g, j) => {
          const answer = grid[i * data.gpus.length + j], mark = marks[rank(data, answer ?? -1)];
          const cell = make("td", { class: d[2] ? "e" : "" });
          if (mark === marks[nothing]) { cell.append(make("i", { class: mark.name }, mark.word)); return cell; }
          const link = make("a", { href: address({ ...chosen, driver: d[0], gpu: g[0] }) }, make("i", { class: mark.name }, `R${d[0]} ${g[0]}: ${mark.word}`));
          if (d[0] === chosen.driver && g[0] === chosen.gpu) {
            link.setAttribute("aria-current", "true");
            const of = data.answers[answer];
            why.append(make("p", {}, make("strong", {}, `R${d[0]}${d[1] ? " (" + d[1] + ")" : ""}${d[2] ? ", ended" : ""}, ${g[0]} ${g[1]}: ${mark.word}. `), of ? of[2] : "Of one platform nothing is known."));
            const seen = of?.[3] || [], here = seen.map((n) => rowAt.get(n)).filter(Boolean).slice(0, 5);
            for (const row of here) why.append(make("p", { class: "note" }, "Row: " + [...row.cells].filter((_, i) => i !== 6 /* it counts */).map((c) => c.textContent.trim()).filter(Boolean).join(", ")));
            if (seen.length > here.length) why.append(make("p", { class: "note" }, `${seen.length - here.length} more rows.`));
          }
          cell.append(link);
          return cell;
        })));
      place.replaceChildren(make("table", {}, make("caption", {}, "Choose one to see why"), make("thead", {}, top), make("tbody", {}, ...lines)));
      if (held) place.querySelector("[aria-current]")?.focus({ preventScroll: true });
    }
  };
  const list = async (box) => {
    const { packages, layers } = await unpack("data-packages");
    const all = box.dataset.layers.split(" ").flatMap((l, i) => layers[l].map((p) => [i + 1, packages[p]]));
    const place = box.querySelector(".scroll"), find = box.querySelector("input");
    const lines = all.map(([layer, [name, ...rest]]) => make("tr", {}, make("th", { scope: "row" }, name), ...[...rest, layer].map((text) => make("td", {}, text))));
    const names = ["Package", "Version", "Architecture", "Manager", "Layer"];
    place.replaceChildren(make("table", {}, make("caption", {}, `${all.length} packages, by the layer that brings them`),
      make("thead", {}, make("tr", {}, ...names.map((n) => make("th", { scope: "col" }, n)))), make("tbody", {}, ...lines)));
    find.oninput = () => lines.forEach((line, i) => { line.hidden = !all[i][1].join(" ").toLowerCase().includes(find.value.toLowerCase()); });
  };
  const perBundle = Number(section.dataset.per);
  let from = null; // who had the focus before
  const open = async (chosen) => {
    const at = rows.findIndex((r) => r.id === chosen.image);
    if (section.dataset.shown === chosen.image && chosen.image) {
      if (inside.querySelector(".own")) own(await unpack("data-grids"), chosen, at);
      inside.querySelector(".why:not(:empty)")?.scrollIntoView({ block: "nearest" });
      return;
    }
    const held = section.contains(document.activeElement), last = rows.find((r) => r.id === section.dataset.shown);
    if (chosen.image && section.hidden) from = document.activeElement;
    section.hidden = !chosen.image;
    delete section.dataset.shown;
    if (!chosen.image) {
      inside.replaceChildren();
      if (held) (from && from !== document.body ? from : last ? last.row.querySelector("a") : choices.q).focus();
      return;
    }
    title.textContent = chosen.image;
    if (at < 0) inside.replaceChildren(make("p", {}, "There is no such image in this report. The link may be of another day's."));
    else {
      inside.replaceChildren(make("p", {}, "Unpacking."));
      const [texts, data] = await Promise.all([unpack(`data-images-${Math.floor(at / perBundle)}`), unpack("data-grids")]).catch((e) => [null, e]);
      if (read().image !== chosen.image) return;
      if (texts) {
        inside.innerHTML = texts[at % perBundle];
        own(data, chosen, at);
      } else inside.replaceChildren(make("p", {}, cannot(data)));
      for (const box of inside.querySelectorAll(".packages")) box.ontoggle = () => {
        if (box.open && !box.querySelector("table")) list(box).catch((e) => box.querySelector(".scroll").replaceChildren(cannot(e)));
      };
    }
    section.dataset.shown = chosen.image;
    section.focus({ preventScroll: true });
    section.scrollIntoView();
  };

  let asked = 0;
  const show = async () => {
    const chosen = read(), mine = ++asked;
    for (const name in choices) if (choices[name].value !== chosen[name]) {
      choices[name].value = chosen[name];
      if (name !== "q" && choices[name].value !== chosen[name]) choices[name].value = chosen[name] = "";
    }
    let data = null;
    problem = "";
    if (chosen.driver || chosen.gpu || marks.some((m) => m.name === chosen.state)) data = await unpack("data-grids").catch((e) => { problem = cannot(e); });
    if (mine !== asked) return;
    if (problem) { // what cannot be shown does not stand there as chosen
      for (const name of ["driver", "gpu", "state"]) choices[name].value = chosen[name] = "";
      history.replaceState(null, "", address(chosen));
    }
    filter(data, chosen);
    draw(data, chosen);
    await open(chosen);
  };
  choices.q.oninput = () => choose({ q: choices.q.value }, true);
  for (const name of ["driver", "gpu", "state"]) choices[name].onchange = () => choose({ [name]: choices[name].value });
  choices.q.form.onsubmit = (event) => event.preventDefault();
  addEventListener("hashchange", show);
  addEventListener("keydown", (event) => { if (event.key === "Escape" && read().image) choose({ image: "" }); });
  for (const kind of ["error", "unhandledrejection"]) addEventListener(kind, (event) => { by("found").textContent = "Something went wrong here: " + (event.message || event.reason); });
  show().finally(() => { document.body.dataset.ready = ""; });
  (window.requestIdleCallback || setTimeout)(() => unpack("data-grids").catch(() => {}));
})();
