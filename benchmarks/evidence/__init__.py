"""What ``coverage`` and ``faults`` work with: truths, simulated cells, forked jobs."""
