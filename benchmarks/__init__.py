"""How fast it is, beside what else one could use, on the machine it runs on."""
