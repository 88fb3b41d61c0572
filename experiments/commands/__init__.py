"""The commands of ``dpodl``, one module for each kind; the only place that prints.

``terminal`` has what all share: options, progress, errors as sentences and exit codes.
"""
