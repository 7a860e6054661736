"""One file per table of the paper: what varies and what the paper reports. Reads like the table."""
