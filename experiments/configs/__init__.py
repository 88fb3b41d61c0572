"""The shipped experiment configs (TOML), read by name."""
