// Dark or light, before anything is painted: not a module, so that the page waits for it.
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const choose = () => {
    let stored = null;
    try { stored = localStorage.getItem("theme"); } catch { /* storage is switched off */ }
    document.documentElement.dataset.theme = stored ?? (system.matches ? "dark" : "light");
  };
  system.addEventListener("change", choose);
  choose();
})();
