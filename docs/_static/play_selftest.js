// play.html?selftest=1 goes through every size, step and cell of the mixer and compares what the
// page shows with what Python put into it; the title and #selftest then begin with PASS or FAIL.
// ?selftest=1&fault=1 first exchanges two labels, and so has to end in FAIL.
(() => {
  "use strict";
  const asked = new URLSearchParams(location.search);
  const root = document.querySelector(".nx-play");
  if (!root || asked.get("selftest") !== "1") return;

  const one = (selector, within = root) => within.querySelector(selector);
  const every = (selector, within = root) => [...within.querySelectorAll(selector)];
  const said = () => one(".nx-play-says").textContent;
  const room = one(".nx-play-story").offsetHeight;
  const ENOUGH = 20; // findings, after which it stops
  const wrong = [];
  let checks = 0;
  const check = (right, ...words) => {
    checks += 1;
    if (!right) wrong.push(words.join(" "));
    if (wrong.length === ENOUGH) throw new Error("enough is wrong");
  };
  const send = (target, kind, Type = Event, more = {}) =>
    target.dispatchEvent(new Type(kind, { bubbles: true, cancelable: true, ...more }));
  const press = (key) => send(document.activeElement, "keydown", KeyboardEvent, { key });

  // What a size has to show, read from its panels: which cells hold a feature, and between which
  // chunk and which place it moves. The list of cells to light is not consulted.
  const facts = ({ scene, keys }) => {
    const steps = scene.panels.slice(0, -1).map((panel) => panel.rows.map((row) => row.chunks));
    const d = steps[1][0][0].length;
    const ordered = (step) => steps[step].flat(2).map((cell) => cell.label);
    const merge = scene.panels.findIndex((panel) => panel.title.includes("Merge"));
    const before = ordered(0), after = ordered(merge), residual = steps.length - 1;
    const entry = (name) => [after, before].map((names) => Math.floor(names.indexOf(name) / d));
    const shows = (label, names) => label.split("+").some((name) => names.includes(name));
    return (p, r, c) => {
      const key = keys[p][r][c], sums = p === residual, matrix = p === steps.length;
      const [row, column] = matrix ? [r, c]
        : entry(sums ? after[r * keys[p][0].length + c] : key);
      const joined = entry(before[column * d]).join() === `${row},${column}`;
      const names = !matrix ? key.split("+")
        : joined ? before.slice(column * d, column * d + d) : [];
      const lit = new Set([[steps.length, row, column].join()]);
      keys.slice(0, -1).forEach((panel, q) => panel.forEach((labels, i) => labels.forEach(
        (label, j) => {
          const here = sums && q === residual ? label === key : shows(label, names);
          if (here) lit.add([q, i, j].join());
        })));
      const words = [`row ${row}, column ${column}`, `chunk ${column}`, ...(matrix ? [] : [key])];
      return { lit, words };
    };
  };

  const inside = (part, whole, slack = 0.5) => part.left >= whole.left - slack
    && part.right <= whole.right + slack && part.top >= whole.top - slack
    && part.bottom <= whole.bottom + slack;

  const checkPicture = (panel, expected, name) => {
    const svg = one("svg", panel), box = svg.getBoundingClientRect();
    const scale = box.width / svg.viewBox.baseVal.width;
    check(scale > 0.79, name, "is shown too small:", scale);
    for (const text of every("text", svg)) {
      check(inside(text.getBoundingClientRect(), box), name, "cuts off", text.textContent);
    }
    check(svg.textContent.includes(expected.title), name, "lacks its title");
    every(".nx-row", svg).forEach((row, r) => every(".nx-one", row).forEach((cell, c) => {
      const label = expected.rows[r].chunks.flat()[c].label;
      const text = one(".nx-value", cell), rect = one("rect", cell);
      check(text.textContent === label, name, "shows", text.textContent, "instead of", label);
      check(inside(text.getBoundingClientRect(), rect.getBoundingClientRect(), 0),
        name, "has a cell that is too narrow for", text.textContent);
      check(cell.getAttribute("aria-label").startsWith(`${label}, `), name, "misreads", label);
    }));
    const shown = every(".nx-one", panel).length;
    const cells = expected.rows.flatMap((row) => row.chunks.flat()).length;
    check(shown === cells, name, "has", shown, "cells instead of", cells);
  };

  const checkTold = (data, places, fact, [p, r, c], how) => {
    const story = data.stories[data.keys[p][r][c]];
    const name = `${how} of ${data.keys[p][r][c]} in panel ${p}`;
    check(said() === story.says, name, "says", said());
    check(one(".nx-play-code").textContent === story.code, name, "gives other code");
    const step = Number(one(".nx-play-slider").value);
    check(one(".nx-play-moves").textContent === story.moves[step - 1], name, "moves otherwise");
    const high = one(".nx-play-story").offsetHeight;
    check(high === room, name, "moves the panels: told in", high, "px instead of", room);
    const light = getComputedStyle(one(".nx-lit .nx-value"));
    check(light.textDecorationLine === "underline", name, "is lit by color alone");
    const { lit, words } = fact(p, r, c);
    for (const word of words) {
      const spoken = new RegExp(`\\b${word.replace("+", "\\+")}\\b`, "i");
      check(spoken.test(said()), name, "does not speak of", word);
    }
    const found = every(".nx-lit").map((cell) => places.get(cell));
    check(found.length === lit.size && found.every((place) => lit.has(place)),
      name, "lights", found.join(" "), "instead of", [...lit].join(" "));
  };

  // With the arrow keys from cell to cell, like a plough, and against the walls.
  const checkKeys = (data, places, fact, panel, p) => {
    const grid = every(".nx-row", panel).map((row) => every(".nx-one", row));
    const name = `the keyboard in panel ${p}`;
    const at = (r, c, key) => {
      const here = places.get(document.activeElement);
      check(here === [p, r, c].join(), name, "is at", here, "instead of", r, c, "after", key);
      checkTold(data, places, fact, [p, r, c], key);
      const stops = every('[tabindex="0"]', panel);
      check(stops.length === 1 && stops[0] === document.activeElement, name, "has other stops");
    };
    const go = (key, r, c) => {
      press(key);
      at(r, c, key);
    };
    grid[0][0].focus();
    press("ArrowLeft");
    go("ArrowUp", 0, 0);
    grid.forEach((row, r) => {
      const last = row.length - 1, back = r % 2 === 1;
      for (let c = 1; c <= last; c += 1) {
        go(back ? "ArrowLeft" : "ArrowRight", r, back ? last - c : c);
      }
      go("Home", r, 0);
      go("End", r, last);
      if (back) go("Home", r, 0);
      go("ArrowDown", Math.min(r + 1, grid.length - 1), back ? 0 : last);
    });
  };

  const checkSize = (element) => {
    const data = JSON.parse(one("script", element).textContent);
    const panels = every(".nx-panel", element), last = panels.length - 1;
    const fact = facts(data), places = new Map();
    panels.forEach((panel, p) => every(".nx-row", panel).forEach((row, r) => {
      every(".nx-one", row).forEach((cell, c) => places.set(cell, [p, r, c].join()));
    }));
    const slider = one(".nx-play-slider");
    check(Number(slider.max) === last - 1, "the slider has", slider.max, "steps");
    check(every(".nx-size").every((other) => other.hidden === (other !== element)),
      "another size is shown");
    slider.value = 1;
    send(slider, "input");
    for (let step = 1; step < last; step += 1) {
      const title = data.scene.panels[step].title;
      check(title.startsWith(one(".nx-play-where").textContent), "step", step, "has another name");
      panels.forEach((panel, p) => {
        const seen = panel.checkVisibility();
        const shown = p === step - 1 || p === step || p === last;
        check(seen === shown, "step", step, "panel", p, "seen:", seen);
      });
      check(one(".nx-play-did").textContent === data.did[step - 1], "step", step, "did otherwise");
      for (const p of step === 1 ? [0, step, last] : [step]) {
        checkPicture(panels[p], data.scene.panels[p], `${data.scene.title}, panel ${p}`);
        for (const cell of every(".nx-one", panels[p])) {
          const place = places.get(cell).split(",").map(Number);
          send(one("text", cell), "pointerover", PointerEvent, { clientX: checks });
          checkTold(data, places, fact, place, "the pointer");
        }
        checkKeys(data, places, fact, panels[p], p);
      }
      for (const part of every(".nx-play-controls, .nx-play-controls p, .nx-play-story")) {
        check(part.scrollWidth <= part.clientWidth, "wider than its place:", part.className);
      }
      const page = document.scrollingElement;
      check(page.scrollWidth <= page.clientWidth, "the page scrolls sideways");
      one(".nx-play-on").click();
    }
    check(Number(slider.value) === last - 1, "there is a step after the last");
    one(".nx-play-back").click();
    check(Number(slider.value) === last - 2, "there is no way back");
    one(".nx-play-all").click();
    check(panels.every((panel) => panel.checkVisibility()), "not all steps at once");
    one(".nx-play-all").click();
  };

  const run = () => {
    if (asked.get("fault") === "1") {
      const [a, b] = every(".nx-size[open] .nx-value");
      [a.textContent, b.textContent] = [b.textContent, a.textContent];
    }
    const choice = one(".nx-play-choice");
    try {
      every(".nx-size").forEach((element, i) => {
        choice.selectedIndex = i;
        send(choice, "change");
        checkSize(element);
      });
    } catch (error) {
      wrong.push(String(error));
    }
    choice.selectedIndex = 0;
    send(choice, "change");
    const verdict = wrong.length ? `FAIL ${wrong.length} of ${checks} checks`
      : `PASS ${checks} checks`;
    document.title = verdict;
    one("#selftest").textContent = [verdict, ...wrong].join("\n");
    one("#selftest").hidden = false;
  };

  document.fonts.ready.then(run);
})();
