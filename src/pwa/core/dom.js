// Small helpers to make elements. Text is always text: nothing here reads HTML.

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * Makes an element. Props: `class`, `on<event>` listeners, booleans (present or not), and attributes; null leaves one out.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any> | null} [props]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children.flat().filter(shown).map(node));
  return element;
}

const shown = (/** @type {Child} */ child) => child !== null && child !== undefined && child !== false;
const node = (/** @type {any} */ child) => (child instanceof Node ? child : String(child));

const SVG = "http://www.w3.org/2000/svg";

/**
 * An SVG element.
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {...Node} children
 */
export function svg(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/**
 * Sets a text if it differs.
 * @param {Element} element
 * @param {string} text
 */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Sets an attribute if it differs; null removes it.
 * @param {Element} element
 * @param {string} name
 * @param {string | null} value
 */
export function mark(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/**
 * Scrolls what a tap has opened into sight, above the bar; if it is larger than the view, its beginning.
 * @param {Element} element
 */
export function reveal(element) {
  requestAnimationFrame(() => element.scrollIntoView({ block: "nearest" })); // once it is laid out
}

/**
 * Keeps the children of `parent` in step with a list: one element for each key, made once, in the list's order.
 * @template T
 * @param {Element} parent
 * @param {readonly T[]} list
 * @param {(item: T) => string} keyOf
 * @param {(item: T) => HTMLElement} make
 * @param {(element: HTMLElement, item: T) => void} paint
 */
export function keep(parent, list, keyOf, make, paint) {
  const old = new Map([...parent.children].map((child) => [child.getAttribute("data-key"), /** @type {HTMLElement} */ (child)]));
  let next = parent.firstElementChild;
  for (const item of list) {
    const key = keyOf(item);
    let element = old.get(key);
    old.delete(key);
    if (!element) {
      element = make(item);
      element.setAttribute("data-key", key);
    }
    if (element === next) next = next.nextElementSibling;
    else parent.insertBefore(element, next);
    paint(element, item);
  }
  for (const gone of old.values()) gone.remove();
}
