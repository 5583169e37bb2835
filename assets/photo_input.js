// Gradio's photo input forgets the photo it has before it looks at what is dropped, and then refuses by type and size
// alone: a text, or a HEIC picture without a type, would take the photo and the maps away. So whatever is dropped goes
// to the server as a picture, which knows what it is and says so, and the page puts back what was there.
// More than one go to the strip instead, which sends them one by one.
(limit) => {
  const photo = document.querySelector('#photo');
  const takeSeveral = (event, files) => {
    if (files.length < 2) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const detail = [...files].map((file) => (file.size > limit ? new File([file.slice(0, limit + 1)], file.name) : file));
    event.target.dispatchEvent(new DragEvent('dragleave', { bubbles: true }));
    dispatchEvent(new CustomEvent('gradcam-photos', { detail }));
  };
  photo.addEventListener('drop', (event) => takeSeveral(event, event.dataTransfer.files), true);
  photo.addEventListener('click', () => {
    for (const input of photo.querySelectorAll('[type=file]')) input.multiple = true;
  }, true);
  photo.addEventListener('change', (event) => {
    const files = [...(event.target.files ?? [])];
    takeSeveral(event, files);
    if (files.length > 1) event.target.value = ''; // the same ones can be chosen again
  }, true);
  photo.addEventListener('drop', (event) => {
    const file = event.dataTransfer.files[0] ?? new File([event.dataTransfer.getData('text')], 'This text');
    if (event.dataTransfer.files.length && file.type.startsWith('image/') && file.size <= limit + 1) return;
    event.preventDefault();
    event.stopPropagation();
    const dropped = new DataTransfer();
    dropped.items.add(new File([file.slice(0, limit + 1)], file.name, { type: 'image/unknown' }));
    event.target.dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: dropped }));
  }, true);
}
