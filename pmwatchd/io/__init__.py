"""ACTS.  One outside thing per file; foreign errors are mapped here, at the border."""
