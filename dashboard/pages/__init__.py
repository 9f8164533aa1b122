"""One module a page: a frozen record of what it shows, and the function that asks the catalogue."""
