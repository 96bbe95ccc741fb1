// @ts-check
// Runs before anything is drawn, so that nobody sees the other theme flash by: no module.
'use strict';

try {
  const chosen = JSON.parse(localStorage.getItem('raftsql.theme') ?? 'null');
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
} catch {
  // No storage in this browser: the choice lasts as long as the page.
}
