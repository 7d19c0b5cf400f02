// Elements. Every text goes in as a text node: there is no way here to give markup.

type Child = Node | string | undefined | false;

export interface Attributes {
  [name: string]: string | number | boolean | undefined | ((event: Event) => void);
}

/** An element. A function is a listener of the event of its name; `true` is an attribute without a value. */
export function h<K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== undefined && value !== false) element.setAttribute(key, String(value));
  }
  fill(element, ...children);
  return element;
}

export function fill(element: Element, ...children: Child[]): void {
  element.replaceChildren(
    ...children.filter((child): child is Node | string => child !== undefined && child !== false),
  );
}

/** The same for what is shown anew while somebody uses it: focus and scrolling stay where they were, as far as there is such a place. */
export function refill(element: Element, ...children: Child[]): void {
  const active = document.activeElement;
  const inside = active !== null && element.contains(active);
  const [id, href] = inside ? [active.id, active.getAttribute("href")] : ["", null];
  const before = element.querySelector(".scroll");
  const [left, top] = [before?.scrollLeft ?? 0, before?.scrollTop ?? 0];
  const region = inside && active === before;
  fill(element, ...children);
  const scroll = element.querySelector<HTMLElement>(".scroll");
  scroll?.scrollTo(left, top);
  if (!inside) return;
  const links = [...element.querySelectorAll<HTMLElement>("a")];
  const again = region
    ? scroll
    : id
      ? document.getElementById(id)
      : links.find((link) => link.getAttribute("href") === href);
  again?.focus({ preventScroll: true });
}

/** A section with a heading. */
export function section(id: string, title: string, ...children: Child[]): HTMLElement {
  return h("section", { "aria-labelledby": `${id}-title`, id }, h("h2", { id: `${id}-title` }, title), ...children);
}
