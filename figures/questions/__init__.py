"""Figures of the questions that have a command of their own, as those of a run."""
