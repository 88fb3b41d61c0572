"""Package data: 10,000 + 2,000 unmodified images of MNIST (see NOTICE.md)."""
