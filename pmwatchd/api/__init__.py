"""SHOWS.  No rule lives here."""
