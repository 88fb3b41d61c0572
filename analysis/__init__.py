"""What it means: block-time laws, simulated races, estimates, closed forms."""
