"""What ``benchmarks/accelerator.sh`` measures; each module is a part of it."""
