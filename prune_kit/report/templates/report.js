"use strict";
// Everything of this page that moves. What comes from data is only ever set as text, never as HTML.
(() => {
  const page = JSON.parse(document.getElementById("page-data").textContent);
  const { subset, gallery } = page;
  const find = (id) => document.getElementById(id);
  const commas = (number) => number.toLocaleString("en-US");
  const classNames = subset.classes;

  function element(tag, properties = {}, ...children) {
    const made = document.createElement(tag);
    Object.assign(made, properties);
    made.append(...children);
    return made;
  }

  function drawn(tag, attributes, ...children) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  // Counting, exactly as prune_kit.select does.

  function unpacked(text, width) {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    return width === 1 ? bytes : width === 2 ? new Uint16Array(bytes.buffer) : new Uint32Array(bytes.buffer);
  }

  const order = subset.order === undefined ? null : unpacked(subset.order, subset.bytes);
  const places = order ? null : unpacked(subset.places, 4);
  const upto = order ? null : unpacked(subset.upto, 4);

  function countsBetween(start, stop) {
    const counts = new Array(classNames.length).fill(0);
    if (order) {
      for (let i = start; i < stop; i++) counts[order[i]]++;
      return counts;
    }
    const row = (place) => places.indexOf(place) * classNames.length;
    const [from, to] = [row(start), row(stop)];
    return counts.map((_, code) => upto[to + code] - upto[from + code]);
  }

  // Python rounds halves to the even neighbour.
  function rounded(value) {
    const low = Math.floor(value);
    const rest = value - low;
    return rest > 0.5 || (rest === 0.5 && low % 2 === 1) ? low + 1 : low;
  }

  // Largest remainder, ties to the first class; no class gets more than its room.
  function apportioned(total, sizes, room) {
    const n = sizes.reduce((sum, size) => sum + size, 0);
    const shares = sizes.map((size, code) => Math.min(Math.floor((total * size) / n), room[code]));
    const byRemainder = sizes.map((_, code) => code);
    byRemainder.sort((a, b) => ((total * sizes[b]) % n) - ((total * sizes[a]) % n) || a - b);
    let left = total - shares.reduce((sum, share) => sum + share, 0);
    while (left > 0) {
      const takers = byRemainder.filter((code) => shares[code] < room[code]).slice(0, left);
      for (const code of takers) shares[code]++;
      left -= takers.length;
    }
    return shares;
  }

  // In which places each class is kept: of the whole order, or of its own.
  function chosen({ method, keep, offset, perClass }) {
    const size = rounded(keep * subset.n);
    let start = subset.n - size;
    if (method === "easiest") start = 0;
    if (method === "window") start = Math.min(rounded(offset * subset.n), subset.n - size);
    if (!perClass) return { size, start, perClass, counts: countsBetween(start, start + size) };
    const counts = apportioned(size, subset.sizes, subset.sizes);
    const room = subset.sizes.map((each, code) => each - counts[code]);
    return { size, start, perClass, counts, starts: apportioned(start, subset.sizes, room) };
  }

  const startOf = (now, code) => (now.perClass ? now.starts[code] : now.start);
  const sizeOf = (now, code) => (now.perClass ? now.counts[code] : now.size);
  const placeOf = (now, example) => (now.perClass ? example.classPlace : example.place);

  function isKept(now, example) {
    const from = placeOf(now, example) - startOf(now, example.class);
    return from >= 0 && from < sizeOf(now, example.class);
  }

  // The sliders and what they show.

  const [keep, offset, perClass] = [find("keep"), find("offset"), find("per-class")];
  const digits = subset.step < 0.01 ? 3 : 2;
  keep.step = offset.step = subset.step;
  keep.value = 0.5;
  let now;

  function settings() {
    const method = document.querySelector("input[name=method]:checked").value;
    const kept = Number(Number(keep.value).toFixed(digits));
    // An offset of 1 would leave nothing; prunekit takes fractions below it.
    offset.max = Math.min(1 - subset.step, 1 - kept).toFixed(digits);
    return { method, keep: kept, offset: Number(Number(offset.value).toFixed(digits)), perClass: perClass?.checked ?? false };
  }

  const percent = (value) => `${(100 * value).toFixed(digits - 2)}%`;

  // prunekit takes a number with a point as a fraction, one without as a count.
  const fraction = (value) => value.toFixed(digits).replace(/(\.\d+?)0+$/, "$1");

  function command({ method, keep: kept, offset: left, perClass: byClass }) {
    const { aggregate, prune } = subset.commands;
    const options = [`--keep ${fraction(kept)}`];
    if (method === "window") options.push(`--offset ${fraction(left)}`);
    if (method === "easiest") options.push("--method easiest");
    if (byClass) options.push("--per-class");
    return (aggregate ? `${aggregate}\n` : "") + `${prune} ${options.join(" ")} --out kept.parquet`;
  }

  const rows = classNames.map((name, code) => {
    const [stay, share, bar] = [element("td"), element("td"), element("i")];
    const meter = element("td", { ariaHidden: "true" }, element("span", { className: "meter" }, bar));
    const heading = element("th", { scope: "row", dir: "auto", textContent: name });
    const before = element("td", { textContent: commas(subset.sizes[code]) });
    find("classes").tBodies[0].append(element("tr", {}, heading, before, stay, share, meter));
    return { stay, share, bar };
  });

  // The distribution as bars, the kept part of each filled: bins are in the order of the scores, as places are.
  function strip() {
    const bins = subset.edges.length - 1;
    const totals = Array.from({ length: bins }, (_, bin) => subset.counts.reduce((sum, counts) => sum + counts[bin], 0));
    const keptIn = new Array(bins).fill(0);
    const groups = now.perClass ? subset.counts : [totals];
    groups.forEach((counts, code) => {
      const [from, to] = [startOf(now, code), startOf(now, code) + sizeOf(now, code)];
      let place = 0;
      counts.forEach((count, bin) => {
        keptIn[bin] += Math.max(0, Math.min(place + count, to) - Math.max(place, from));
        place += count;
      });
    });
    const most = Math.sqrt(Math.max(1, ...totals));
    const bars = totals.flatMap((total, bin) => {
      const bar = (className, count) => {
        const height = (100 * Math.sqrt(count)) / most;
        return drawn("rect", { class: className, x: bin + 0.06, width: 0.88, y: 100 - height, height });
      };
      return [bar("all", total), bar("kept", keptIn[bin])];
    });
    find("strip").replaceChildren(drawn("svg", { viewBox: `0 0 ${bins} 100`, preserveAspectRatio: "none" }, ...bars));
  }

  function update() {
    const wanted = settings();
    now = chosen(wanted);
    find("offset-row").hidden = wanted.method !== "window";
    find("keep-value").textContent = percent(wanted.keep);
    find("offset-value").textContent = percent(wanted.offset);
    keep.ariaValueText = percent(wanted.keep);
    offset.ariaValueText = percent(wanted.offset);
    find("sum").replaceChildren(element("strong", { textContent: commas(now.size) }), ` of ${commas(subset.n)} examples stay.`);
    rows.forEach(({ stay, share, bar }, code) => {
      const part = now.counts[code] / subset.sizes[code];
      stay.textContent = commas(now.counts[code]);
      share.textContent = `${(100 * part).toFixed(1)}%`;
      bar.style.width = `${100 * part}%`;
    });
    // Lines break between words, not at the hyphens of options; copied, it is the plain text.
    const words = command(wanted).split(/(\s+)/).map((word) => (word.trim() ? element("span", { textContent: word }) : word));
    find("command").replaceChildren(...words);
    strip();
    threshold();
  }

  // Galleries and details.

  function look(example, isLarge) {
    const shown = example.look;
    if (!shown) return element("div", { className: "look none", textContent: isLarge ? "no data to show" : `id ${example.id}` });
    if (shown.kind === "image") {
      const alt = `example ${example.id}, ${classNames[example.class]}`;
      const image = element("img", { src: shown.src, alt, className: shown.width < 64 ? "small" : "" });
      return element("div", { className: "look" }, image);
    }
    if (shown.kind === "text") return element("div", { className: "look text", dir: "auto", textContent: shown.text });
    if (shown.kind === "row") {
      const pairs = (shown.row ?? []).slice(0, isLarge ? undefined : 4);
      const list = element("dl", {}, ...pairs.flatMap(([name, value]) => [
        element("dt", { textContent: name }), element("dd", { textContent: value }),
      ]));
      return element("div", { className: "look row" }, list);
    }
    if (shown.kind === "lines") return lines(shown.lines ?? []);
    const why = isLarge ? `${shown.kind}: ${shown.text}` : shown.kind;
    return element("div", { className: "look none", textContent: why });
  }

  function lines(series) {
    const all = series.flat();
    const [low, high] = [Math.min(...all), Math.max(...all)];
    const y = (value) => (high > low ? 98 - (96 * (value - low)) / (high - low) : 50);
    const drawing = series.map((values, i) => {
      const last = Math.max(1, values.length - 1);
      const points = values.map((value, step) => `${(100 * step) / last},${y(value)}`).join(" ");
      return drawn("polyline", { points, stroke: `var(--series-${(i % 5) + 1})` });
    });
    const svg = drawn("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", role: "img", "aria-label": "a series" }, ...drawing);
    return element("div", { className: "look lines" }, svg);
  }

  function brief(score) {
    const value = Number(score);
    if (!Number.isFinite(value)) return score;
    return value !== 0 && Math.abs(value) < 0.001 ? value.toExponential(1) : value.toPrecision(3);
  }

  const rankOf = (example) => subset.n - example.place;

  function card(example, { isSuspect = false, isThreshold = false } = {}) {
    const made = element("button", { type: "button", className: "card" }, look(example, false));
    const given = element("span", { className: "what", dir: "auto", textContent: classNames[example.class] });
    made.append(given);
    if (isSuspect && example.suspect) {
      if (example.suspect.suggested !== undefined) {
        made.append(element("span", { className: "what to", dir: "auto", textContent: `→ ${example.suspect.suggested}` }));
      }
      if (example.suspect.probability) {
        made.append(element("span", { className: "how", textContent: `wrong: ${example.suspect.probability}` }));
      }
    } else if (isThreshold) {
      const kept = isKept(now, example);
      made.classList.toggle("out", !kept);
      made.append(element("span", { className: "how", textContent: kept ? "stays" : "left out" }));
    } else {
      made.append(element("span", { className: "how", textContent: brief(example.score) }));
    }
    made.ariaHasPopup = "dialog";
    made.addEventListener("click", () => details(example));
    return made;
  }

  function show(name, examples, options) {
    for (const place of document.querySelectorAll(`[data-gallery="${name}"]`)) {
      place.classList.toggle("wide", examples.some(({ look: each }) => each && ["text", "row", "lines"].includes(each.kind)));
      place.replaceChildren(...examples.map((example) => card(example, options)));
    }
  }

  const all = (indices) => indices.map((index) => gallery.examples[index]);

  // The examples of the page that are nearest to a border of what is kept, as many on either side.
  function threshold() {
    const near = new Set();
    const borders = [0, 1].map((end) => (example) => {
      const border = startOf(now, example.class) + end * sizeOf(now, example.class);
      const total = now.perClass ? subset.sizes[example.class] : subset.n;
      return border <= 0 || border >= total ? null : (placeOf(now, example) + 0.5 - border) / total;
    });
    for (const distance of borders) {
      const found = all(gallery.spread).map((example) => ({ example, at: distance(example) })).filter(({ at }) => at !== null);
      found.sort((a, b) => Math.abs(a.at) - Math.abs(b.at));
      for (const side of [found.filter(({ at }) => at < 0), found.filter(({ at }) => at > 0)]) {
        for (const { example } of side.slice(0, 5)) near.add(example);
      }
    }
    const shown = [...near].sort((a, b) => a.place - b.place);
    find("threshold-said").textContent = shown.length
      ? "Moves with the sliders above: the nearest of the examples in this page, easiest first; dashed ones are left out."
      : "Everything stays, or nothing: there is no threshold.";
    show("threshold", shown, { isThreshold: true });
  }

  function details(example) {
    const facts = [
      ["Label", classNames[example.class]],
      ["Predicted", example.predicted],
      ["Probability of the label", example.pLabel],
      [subset.score, example.error ? `${example.score} ± ${example.error}` : example.score],
      ...Object.entries(example.others),
      ["Rank (1 is the hardest)", `${commas(rankOf(example))} of ${commas(subset.n)}`],
      ["Suspected label", example.suspect && (example.suspect.suggested ? `may be ${example.suspect.suggested}` : "flagged")],
      ["Probability that it is wrong", example.suspect?.probability],
      ["With these sliders", isKept(now, example) ? "stays" : "left out"],
    ];
    find("details-title").replaceChildren("Example ", element("bdi", { textContent: example.id }));
    find("details-body").classList.toggle("beside", example.look?.kind === "image");
    find("details-look").replaceChildren(look(example, true));
    find("details-facts").replaceChildren(
      ...facts.filter(([, said]) => said !== undefined && said !== null).map(([term, said]) =>
        element("div", {}, element("dt", { textContent: term }), element("dd", { dir: "auto", textContent: said }))),
    );
    find("details").showModal();
  }

  find("details").addEventListener("click", (event) => {
    if (event.target === find("details")) find("details").close();
  });

  function ofClass() {
    const each = gallery.byClass[Number(find("class-choice").value)];
    show("class-hardest", all(each.hardest));
    show("class-easiest", all(each.easiest));
  }

  find("copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(find("command").textContent);
      find("copied").textContent = "Copied.";
    } catch {
      getSelection().selectAllChildren(find("command"));
      find("copied").textContent = "Selected: copy it with the keyboard.";
    }
  });

  // Charts: drawn from an expression tree, since the page's policy allows no code made from text.
  async function drawCharts() {
    for (const place of document.querySelectorAll("[data-chart]")) {
      const tooltip = { disableDefaultStyle: true };
      // Inside: the place itself keeps its role and its words.
      const inside = place.appendChild(element("div", { ariaHidden: "true" }));
      await vegaEmbed(inside, page.charts[place.dataset.chart], { actions: false, renderer: "svg", ast: true, defaultStyle: false, tooltip });
    }
    document.documentElement.dataset.drawn = "yes";
  }

  function followSections() {
    const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
    const seen = new IntersectionObserver((entries) => {
      for (const entry of entries.filter((each) => each.isIntersecting)) {
        for (const [id, link] of links) {
          if (id === entry.target.id) link.setAttribute("aria-current", "true");
          else link.removeAttribute("aria-current");
        }
      }
    }, { rootMargin: "-30% 0px -65% 0px" });
    document.querySelectorAll("main section").forEach((section) => seen.observe(section));
  }

  const range = subset.edges.at(-1) - subset.edges[0];
  const number = (value) => (Math.abs(value) < range / 1000 ? "0" : Number(value.toPrecision(3)).toString());
  find("strip-low").textContent = number(subset.edges[0]);
  find("strip-high").textContent = number(subset.edges.at(-1));
  find("controls").addEventListener("input", update);
  find("controls").addEventListener("submit", (event) => event.preventDefault());
  update();
  show("hardest", all(gallery.hardest));
  show("easiest", all(gallery.easiest));
  show("flagged", all(gallery.flagged), { isSuspect: true });
  if (find("class-choice")) {
    find("class-choice").addEventListener("input", ofClass);
    ofClass();
  }
  followSections();
  drawCharts();
})();
