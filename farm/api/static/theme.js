// Runs before the page is drawn, so that it never flashes in the wrong colours.
{
  const theme = localStorage.getItem("farm.theme");
  if (theme) document.documentElement.dataset.theme = theme;
}
