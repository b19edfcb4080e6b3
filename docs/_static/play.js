// The mixer to play with. Python computed everything that is shown here when the page was built,
// and the page holds it: the panels as pictures, and what there is to tell about every cell as
// JSON. This script only chooses what is shown and which cells are lit; it computes no mixing.
(() => {
  "use strict";
  const root = document.querySelector(".nx-play");
  if (!root) return;
  const part = (name) => root.querySelector(`.nx-play-${name}`);
  const choice = part("choice"), slider = part("slider"), all = part("all");

  // One size: its panels, their cells by row and column, and the data that belongs to them.
  const read = (element) => {
    const panels = [...element.querySelectorAll(".nx-panel")];
    const cells = panels.map((panel) => [...panel.querySelectorAll(".nx-row")].map(
      (row) => [...row.querySelectorAll(".nx-one")]));
    const data = JSON.parse(element.querySelector("script").textContent);
    const places = new Map(); // of a cell: panel, row, column
    cells.forEach((panel, p) => panel.forEach((row, r) => row.forEach((cell, c) => {
      places.set(cell, [p, r, c]);
    })));
    return { ...data, element, panels, cells, places, chosen: data.start };
  };

  const sizes = [...root.querySelectorAll(".nx-size")].map(read);
  let size = sizes[0];
  let told = null;

  const keyOf = (cell) => {
    const [p, r, c] = size.places.get(cell);
    return size.keys[p][r][c];
  };

  // Light the cells of a story, and tell it, with what the step that is shown does to them.
  const tell = (key) => {
    const story = size.stories[key];
    part("moves").textContent = story.moves[slider.value - 1];
    if (story === told) return;
    told = story;
    root.querySelectorAll(".nx-lit").forEach((cell) => cell.classList.remove("nx-lit"));
    for (const [p, r, c] of story.cells) size.cells[p][r][c].classList.add("nx-lit");
    part("says").textContent = story.says;
    part("code").textContent = story.code;
  };

  // A panel that is wider than the window scrolls by itself to what is lit.
  const reveal = (cell) => {
    const panel = cell.closest(".nx-panel");
    const [here, frame] = [cell, panel].map((element) => element.getBoundingClientRect());
    if (here.left < frame.left || here.right > frame.right) {
      panel.scrollLeft += (here.left + here.right - frame.left - frame.right) / 2;
    }
  };

  // A story that stays while the pointer is elsewhere. In each panel, the keyboard comes to the
  // first cell that is lit; in the panel of the cell itself to that cell.
  const choose = (key, chosen = null) => {
    size.chosen = key;
    tell(key);
    size.cells.forEach((panel) => {
      const flat = panel.flat();
      const stop = flat.find((cell) => cell === chosen)
        || flat.find((cell) => cell.classList.contains("nx-lit")) || flat[0];
      flat.forEach((cell) => cell.setAttribute("tabindex", cell === stop ? "0" : "-1"));
      if (stop !== chosen) reveal(stop);
    });
  };

  const showStep = () => {
    const now = Number(slider.value), last = size.panels.length - 1;
    size.panels.forEach((panel, p) => {
      panel.hidden = !(p === now - 1 || p === now || p === last || all.checked);
      panel.classList.toggle("nx-now", p === now);
    });
    root.classList.toggle("nx-one-step", !all.checked);
    const name = size.scene.panels[now].title.split("  ")[0];
    slider.setAttribute("aria-valuetext", name);
    part("where").textContent = name;
    part("did").textContent = size.did[now - 1];
    tell(size.chosen);
    part("back").setAttribute("aria-disabled", String(now === 1));
    part("on").setAttribute("aria-disabled", String(now === Number(slider.max)));
    reveal(size.panels[now].querySelector('[tabindex="0"]'));
  };

  const goTo = (step) => {
    slider.value = step; // a range keeps within its ends
    root.classList.add("nx-moving");
    showStep();
  };

  // From step to step by itself, until the last or until asked to stop.
  let running = 0;
  const stop = () => {
    clearInterval(running);
    running = 0;
    part("run").textContent = "Play";
    part("run").setAttribute("aria-pressed", "false");
  };
  const run = () => {
    if (running) return stop();
    if (slider.value === slider.max) goTo(1);
    part("run").textContent = "Stop";
    part("run").setAttribute("aria-pressed", "true");
    running = setInterval(() => {
      goTo(Number(slider.value) + 1);
      if (slider.value === slider.max) stop();
    }, 2500);
  };

  const showSize = () => {
    size = sizes[choice.selectedIndex];
    sizes.forEach((one) => {
      one.element.open = one === size;
      one.element.hidden = one !== size;
    });
    slider.max = size.panels.length - 2; // the Jacobian, which is last, is always there
    told = null;
    choose(size.chosen);
    showStep();
  };

  // A grid of cells instead of a picture, for those who listen.
  const prepare = ({ panels, scene }) => panels.forEach((panel, p) => {
    panel.removeAttribute("tabindex");
    const svg = panel.querySelector("svg");
    svg.setAttribute("role", "group");
    panel.style.setProperty("--nx-natural", `${svg.getAttribute("width")}px`);
    const body = svg.querySelector(":scope > g");
    body.setAttribute("role", "grid");
    body.setAttribute("aria-label", scene.panels[p].title);
    panel.querySelectorAll(".nx-row").forEach((row, r) => {
      row.setAttribute("role", "row");
      row.querySelectorAll(".nx-one").forEach((cell, c) => {
        const { name, chunks } = scene.panels[p].rows[r];
        const column = scene.panels[p].columns[c];
        const where = column === undefined ? name : `${name}, column ${column}`;
        cell.setAttribute("role", "gridcell");
        cell.setAttribute("aria-label", `${chunks.flat()[c].label}, ${where}`);
      });
    });
  });

  const moves = {
    ArrowLeft: ([r, c]) => [r, c - 1],
    ArrowRight: ([r, c]) => [r, c + 1],
    ArrowUp: ([r, c]) => [r - 1, c],
    ArrowDown: ([r, c]) => [r + 1, c],
    Home: ([r]) => [r, 0],
    End: ([r], row) => [r, row.length - 1],
  };

  root.addEventListener("keydown", (event) => {
    const cell = event.target.closest(".nx-one");
    if (!cell || !(event.key in moves) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const [p, r, c] = size.places.get(cell);
    const [row, column] = moves[event.key]([r, c], size.cells[p][r]);
    const next = size.cells[p][row]?.[column];
    if (!next) return;
    choose(keyOf(next), next);
    next.focus();
  });
  root.addEventListener("focusin", (event) => {
    const cell = event.target.closest(".nx-one");
    if (cell) choose(keyOf(cell), cell);
  });
  // When the page scrolls, cells move under a pointer that rests: that is not pointing at them.
  let pointer = "";
  const rests = ({ clientX, clientY }) => {
    const before = pointer;
    pointer = `${clientX} ${clientY}`;
    return pointer === before;
  };
  document.addEventListener("pointermove", rests);
  root.addEventListener("pointerover", (event) => {
    if (rests(event)) return;
    const cell = event.target.closest(".nx-one");
    if (cell) tell(keyOf(cell));
    else if (!event.target.closest("svg")) tell(size.chosen);
  });
  root.addEventListener("pointerleave", (event) => {
    if (!rests(event)) tell(size.chosen);
  });

  slider.addEventListener("input", () => goTo(slider.value));
  part("back").addEventListener("click", () => goTo(Number(slider.value) - 1));
  part("on").addEventListener("click", () => goTo(Number(slider.value) + 1));
  part("run").addEventListener("click", run);
  choice.addEventListener("change", showSize);
  all.addEventListener("change", showStep);

  root.classList.add("nx-live");
  part("controls").hidden = false;
  sizes.forEach(prepare);
  showSize();
})();
