// A map enlarged, over its card: cells, another map beside it, the step to the next one.

const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const PAGES = { PageUp: -1, PageDown: 1 };

const headButton = (className, text, label, act) => {
  const button = make('button', className, text);
  button.type = 'button';
  button.title = label;
  button.setAttribute('aria-label', label);
  button.addEventListener('click', act);
  return button;
};

const enlarge = (first, opener) => {
  const dialog = make('dialog', 'gx-dialog');
  let map, moveCell;
  const fill = (next) => {
    map = next;
    dialog.setAttribute('aria-label', titleOf(map));
    const { picture, canvas } = stack(map, answer.photo.naturalWidth);
    paint(canvas);
    const title = make('h2');
    title.append(make('span', 'gx-stage', `${isCompared() ? `${spoken(map.target.name)} · ` : ''}${stageOf(map)} `), make('code', 'gx-name', map.layer));
    const head = make('div', 'gx-card-head');
    const earlier = headButton('gx-step', '‹', 'Previous layer (Page Up)', () => turn(-1));
    const later = headButton('gx-step', '›', 'Next layer (Page Down)', () => turn(1));
    earlier.disabled = map === answer.maps[0];
    later.disabled = map === answer.maps.at(-1);
    head.append(title, earlier, later, saveButton(map), headButton('gx-close', '×', 'Close', () => dialog.close()));
    const readout = make('p', 'gx-readout', 'Point at the picture, or press the arrow keys, to read a cell.');
    readout.setAttribute('role', 'status');
    moveCell = cellReader(map, picture, readout);
    const region = regionReader(map);
    dialog.tellRegion = region.tell;
    dialog.replaceChildren(head, picture, wipe(map, picture, canvas), region.box, readout, facts(map), colorBar(map));
    paintLines(canvas);
    if (map.is_empty) dialog.append(make('p', 'gx-why', whyEmpty(map)));
  };
  const turn = (by) => {
    const next = answer.maps[answer.maps.indexOf(map) + by];
    if (!next) return;
    fill(next);
    const buttons = [...dialog.querySelectorAll('.gx-step')];
    const wanted = buttons[by > 0 ? 1 : 0];
    (wanted.disabled ? dialog.querySelector('.gx-close') : wanted).focus({ preventScroll: true });
  };
  dialog.addEventListener('keydown', (event) => {
    if (event.target.closest('.gx-wipe, .gx-region')) return; // its own keys
    if (event.key in ARROWS) moveCell(...ARROWS[event.key]);
    else if (event.key in PAGES) turn(PAGES[event.key]);
    else return;
    event.preventDefault();
  });
  dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener('close', () => {
    dialog.remove();
    const card = cards().find((other) => other.map === map);
    (card?.querySelector('.gx-open') ?? opener).focus({ preventScroll: true });
  });
  fill(first);
  element.append(dialog);
  // On a hosted page the frame is as tall as the whole page and the middle of the "window" may be off screen. So the
  // dialog lies over its card, and inside the window where that is smaller than the page.
  const card = opener.getBoundingClientRect();
  const scrolled = scrollY;
  dialog.style.top = `${scrolled + card.top}px`;
  dialog.showModal();
  dialog.querySelector('.gx-close').focus({ preventScroll: true });
  const place = () => {
    const middle = card.top + card.height / 2 - dialog.offsetHeight / 2;
    dialog.style.top = `${scrolled + Math.max(8, Math.min(middle, innerHeight - dialog.offsetHeight - 8))}px`;
  };
  place();
  new ResizeObserver(place).observe(dialog);
  scrollTo({ top: scrolled, behavior: 'instant' });
};
