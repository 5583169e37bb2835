// A cell of an enlarged map: under the pointer, or moved by the arrow keys from the hottest one.
const cellReader = (map, picture, readout) => {
  const [rows, columns] = map.cells;
  const frame = make('span', 'gx-cell');
  frame.hidden = true;
  picture.append(frame);
  const inside = (at, count) => Math.min(Math.max(at, 0), count - 1);
  let cell = null;
  const read = (row, column) => {
    cell = [inside(row, rows), inside(column, columns)];
    const share = map.heat[cell[0] * columns + cell[1]];
    Object.assign(frame.style, {
      top: `${100 * cell[0] / rows}%`, left: `${100 * cell[1] / columns}%`,
      height: `${100 / rows}%`, width: `${100 / columns}%`,
    });
    frame.hidden = false;
    readout.textContent = `Row ${cell[0] + 1} of ${rows}, column ${cell[1] + 1} of ${columns}: ` +
      `${Math.round(100 * share)} % of the peak${map.isFused ? '' : `, evidence ${number(share * map.peak)}`}`;
  };
  picture.addEventListener('pointermove', ({ clientX, clientY }) => {
    const { left, top, width, height } = picture.getBoundingClientRect();
    read(Math.floor((clientY - top) / height * rows), Math.floor((clientX - left) / width * columns));
  });
  return (down, right) => {
    if (cell) return read(cell[0] + down, cell[1] + right);
    const hottest = map.heat.indexOf(map.heat.reduce((high, share) => Math.max(high, share), 0));
    return read(Math.floor(hottest / columns), hottest % columns);
  };
};
