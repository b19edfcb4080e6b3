// What scrolls sideways can be reached and scrolled with the keyboard, in every browser.
(() => {
  const boxes = "pre, figure, .container, .math, [class^='nx-'], [class*=' nx-']";

  const update = (box) => {
    const scrolls = box.scrollWidth > box.clientWidth
      && ["auto", "scroll"].includes(getComputedStyle(box).overflowX);
    if (scrolls && !box.hasAttribute("tabindex")) {
      box.tabIndex = 0;
      box.dataset.scrolls = "";
    } else if (!scrolls && "scrolls" in box.dataset) {
      box.removeAttribute("tabindex");
      delete box.dataset.scrolls;
    }
  };

  const observer = new ResizeObserver((changes) => changes.forEach(({ target }) => update(target)));
  document.querySelectorAll(boxes).forEach((box) => {
    update(box); // the observer speaks only once the page is painted
    observer.observe(box);
  });
})();
