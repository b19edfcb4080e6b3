// furo opens its menus with labels, to which no key leads. Here the labels become buttons. Opened with
// the keyboard, a menu is where the Tab key goes on, and Escape leads back.
(() => {
  const menus = { __navigation: ".sidebar-drawer", __toc: ".toc-drawer" };

  Object.entries(menus).forEach(([id, drawer]) => {
    const toggle = document.getElementById(id);
    const menu = document.querySelector(drawer);
    if (!toggle || !menu) return;

    const buttons = [...document.querySelectorAll(`label[for=${id}]:not(.overlay)`)].map((label) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = label.className;
      button.setAttribute("aria-label", toggle.getAttribute("aria-label"));
      button.append(...label.childNodes);
      label.replaceWith(button);
      return button;
    });
    const tell = () => {
      buttons.forEach((button) => button.setAttribute("aria-expanded", String(toggle.checked)));
    };
    const show = (open) => {
      toggle.checked = open;
      tell();
    };

    menu.tabIndex = -1;
    toggle.addEventListener("change", tell);
    buttons.forEach((button) => button.addEventListener("click", (event) => {
      show(!toggle.checked);
      const keyboard = event.detail === 0; // how often a pointer has clicked
      if (toggle.checked && keyboard) menu.focus({ preventScroll: true });
    }));
    menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !toggle.checked) return;
      show(false);
      buttons.find((button) => button.offsetWidth > 0)?.focus();
    });
    tell();
  });
})();
