"""What was asked: configs, the runner, the store, the command line."""
