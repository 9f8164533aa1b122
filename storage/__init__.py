"""Where bytes and facts live: object stores, OCFL on top of them, the catalogue."""
