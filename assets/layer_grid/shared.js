// What all parts of the grid share: its elements, how the maps are shown, and the answer that is shown.
// Gradio hands in element, props, watch and trigger. Nothing that comes from the server is put into markup: every text
// goes through textContent, so a class or a file may be called what it likes.
const find = (selector) => element.querySelector(selector);
const form = find('.gx-toolbar');
const rowList = find('.gx-rows');
const cards = () => [...rowList.querySelectorAll('.gx-card')];
const status = find('.gx-status');
const isStill = () => matchMedia('(prefers-reduced-motion: reduce)').matches;

const tables = Object.fromEntries(Object.entries(props.colors).map(([name, base64]) => [name, bytesOf(base64)]));
// A link can carry how the maps are shown; what it asks for and is not there is left as it is.
const asked = new URLSearchParams(location.search);
const among = (wanted, known, otherwise) => (known.includes(wanted) ? wanted : otherwise);
const shareOr = (name, otherwise) => (asked.get(name) >= 0 && asked.get(name) <= 1 ? +(asked.get(name) ?? otherwise) : otherwise);
const view = {
  opacity: shareOr('opacity', props.opacity),
  colormap: among(asked.get('colormap'), Object.keys(tables), props.colormap),
  scale: among(asked.get('scale'), ['each', 'shared'], 'each'),
  threshold: shareOr('threshold', 0), // 0: no outline
  mode: among(asked.get('mode'), ['alpha', 'add'], 'alpha'), // colours mixed with the photo, or added to it
  fusion: among(asked.get('fusion'), ['none', 'maximum', 'product'], 'none'), // of all layers in one card
};
let answer = null; // what is shown: the server's value, the photo as an image, and the maps of all rows

const make = (tag, className, text) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
};
