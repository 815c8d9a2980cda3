// A photo that is pasted goes where one that is dropped would.
document.addEventListener('paste', (event) => {
  const files = [...(event.clipboardData?.files ?? [])];
  const field = document.querySelector('#photo input[type=file]');
  if (!files.length || !field) return;
  const transfer = new DataTransfer();
  transfer.items.add(files[0]);
  field.files = transfer.files;
  field.dispatchEvent(new Event('change', { bubbles: true }));
});
