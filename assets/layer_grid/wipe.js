// Another map beside the first, on the same photo: left of a line that can be moved the one, right of it the other.
const clip = (canvas, path) => {
  for (const one of [canvas, canvas.lines]) if (one) one.style.clipPath = path;
};

const wipe = (map, picture, canvas) => {
  const box = make('div', 'gx-wipe');
  const label = make('label', '', 'Compare with ');
  const select = make('select');
  const others = answer.maps.filter((other) => other !== map);
  select.append(new Option('nothing', ''), new Option('the photo alone', 'photo'), ...others.map((other, i) => new Option(titleOf(other), i)));
  label.append(select);
  const range = make('input');
  Object.assign(range, { type: 'range', min: 0, max: 100, step: 0.5, value: 50 });
  range.setAttribute('aria-label', 'Where the line between the two pictures lies');
  const names = make('p', 'gx-sides');
  const line = make('span', 'gx-line');
  let other = null;
  const move = () => {
    const at = +range.value;
    clip(canvas, select.value === '' ? '' : `inset(0 ${100 - at}% 0 0)`);
    if (other) clip(other, `inset(0 0 0 ${at}%)`);
    line.style.left = `${at}%`;
  };
  const choose = () => {
    other?.lines?.remove();
    other?.remove();
    const second = others[select.value];
    other = second ? heatCanvas(second, canvas.width) : null;
    if (other) {
      paint(other);
      canvas.after(other);
      paintLines(other);
    }
    const isOn = select.value !== '';
    range.hidden = names.hidden = line.hidden = !isOn;
    if (isOn) names.replaceChildren(make('span', '', `◂ ${titleOf(map)}`), make('span', '', `${second ? titleOf(second) : 'the photo alone'} ▸`));
    move();
  };
  picture.append(line);
  picture.addEventListener('pointermove', ({ buttons, clientX }) => {
    if (!buttons || select.value === '') return;
    const { left, width } = picture.getBoundingClientRect();
    range.value = 100 * (clientX - left) / width;
    move();
  });
  select.addEventListener('change', choose);
  range.addEventListener('input', move);
  choose();
  box.append(names, range, label);
  return box;
};
