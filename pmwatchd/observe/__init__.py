"""TELLS.  Renders the same record as log line, metric and event; decides nothing."""
