"""What happens: data, networks, hash-to-architecture, training, learning curves."""
