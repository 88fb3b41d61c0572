"""Small files in the formats that are read, as examples (law.path = their name)."""
