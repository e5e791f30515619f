// Making and changing elements. Text from outside becomes text nodes, never markup.

/** Return a new element; `onclick` and the like listen, everything else is an attribute. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Set the text of an element, if it is another one. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Show or hide an element, if it is not so already. */
export function show(element, visible) {
  if (element.hidden === visible) element.hidden = !visible;
}

/**
 * Make the children of `container` those of `items`; a child whose item is the same stays as it is.
 * `make(item)` returns the element, `keyOf(item)` a string.
 */
export function fill(container, items, keyOf, make) {
  const before = new Map([...container.children].map((child) => [child.dataset.key, child]));
  const wanted = items.map((item) => {
    const key = keyOf(item);
    const form = JSON.stringify(item);
    const old = before.get(key);
    if (old && old.form === form) return old;
    const child = make(item);
    child.dataset.key = key;
    child.form = form;
    return child;
  });
  let place = container.firstElementChild;
  for (const child of wanted) {
    if (child === place) place = place.nextElementSibling;
    else container.insertBefore(child, place);
  }
  while (place) {
    const next = place.nextElementSibling;
    place.remove();
    place = next;
  }
}

/** Return a function that calls `work` once, a little after the last of many calls. */
export function later(work, delay = 150) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(work, delay);
  };
}

/** Say something to a screen reader. */
export function announce(text) {
  setText(document.getElementById("announcer"), text);
}

/** Show a short message at the edge of the page; `kind` is `note` or `bad`. */
export function toast(text, kind = "note") {
  const line = h("p", { class: `toast ${kind}`, role: kind === "bad" ? "alert" : "status" }, text);
  document.getElementById("toasts").append(line);
  setTimeout(() => line.remove(), kind === "bad" ? 8000 : 4000);
}
