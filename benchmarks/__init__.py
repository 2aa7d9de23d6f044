"""Speed against a named peer, in one run on one machine: ``make bench``."""
