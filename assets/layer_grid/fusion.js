// The card of all layers in one, which is made here of the maps that are here.

const FUSED = '/fused'; // in a layer's place, for the server
const FUSIONS = { maximum: 'highest of', product: 'product of' };

const fuse = () => {
  const { rows, value } = answer;
  for (const row of rows) {
    row.fused = [];
    if (view.fusion === 'none' || row.maps.length < 2) continue;
    const { heat, cells } = fusedHeat(row.maps, view.fusion);
    const cell = value.photo_size.map((side, axis) => side / cells[axis]);
    const isEmpty = heat.every((share) => share === 0);
    row.fused.push({ layer: 'all layers', shape: cells, cells, cell, heat, target: row.target, peak: 0, is_empty: isEmpty, isFused: true });
  }
  answer.maps = rows.flatMap((row) => [...row.maps, ...row.fused]);
};

const showFused = () => {
  fuse();
  rowList.querySelectorAll('.gx-cards').forEach((list, row) => {
    for (const card of [...list.children]) if (card.map.isFused) { painter.unobserve(card); card.remove(); }
    const added = answer.rows[row].fused.map(buildCard);
    list.append(...added);
    added.forEach((card) => painter.observe(card));
  });
};
